"""What a run found, put together for its report: released figures beside what only a simulation can know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any

import numpy as np

from covey_models import QUERIES, SEGMENTS, LogBins
from covey_sdk.tag_rules import customer_value as value_tags
from covey_sdk.tag_rules.registry import kind_of
from covey_simulations.scenarios.scenario import ScenarioRun
from covey_simulations.scenarios.shop import Budget, Seen, ShopRound

PURPOSES = ("personalize", "analytics", "train")
FACTS = {"recency": "recency_days", "frequency": "orders", "monetary": "mean_order_minor"}


def findings_of_run(played: ScenarioRun, budget: Budget) -> dict[str, Any]:
    """Return the part of the report that tells what was found, but for the recommender."""
    granted, stayed = add_counts(played.granted), contributors(played.seen, played.q1)
    example = min(stayed, key=lambda phone: phone["household"])
    q20 = medians_report(played.seen_after_q20, played.q20)
    return {
        "households": len(played.seen),
        "granted": {"core": len(played.seen), **{name: granted.get(name, 0) for name in PURPOSES}},
        "granted_nothing": granted.get("nothing", 0),
        "kept": add_counts(played.kept),
        "tags": tag_counts(played.seen),
        "analytics": {"q20": q20, "q1": segments_report(played.seen, played.q1, q20["truth"])},
        "rounds": sorted(
            (round_report(each.result) for each in rounds_of_run(played)), key=itemgetter("evidence_index")
        ),
        "withdrawn": withdrawals_report(played),
        "epsilon": epsilon_spent(played, budget),
        "ledger": ledger_report(example),
        "example": {"device": f"household {example['household']}", "tags": example["tags"]},
        "sums_checked": all(each.holds for each in rounds_of_run(played)),
    }


def rounds_of_run(played: ScenarioRun) -> list[ShopRound]:
    """Return all rounds that were played."""
    return [played.q20, played.q1, *played.learnt.rounds]


def contributors(seen: Sequence[Seen], played: ShopRound) -> list[Seen]:
    """Return the phones whose ledger says that they sent something in a round."""
    return [phone for phone in seen if phone["household"] in played.contributors]


def withdrawals_report(played: ScenarioRun) -> dict[str, Any]:
    """Return how many took a purpose back, and what of them was seen after."""
    return {
        "count": len(played.leaving),
        "tickets_after": len(played.leaving & played.tickets_after["count"]),
        "contributions_after": len(played.leaving & played.q1.contributors),
        "certificates": add_counts(played.certificates),
        "train": training_withdrawals(played),
    }


def training_withdrawals(played: ScenarioRun) -> dict[str, Any]:
    """Return who left the training, what they sent after, and what is left of those who withdrew all."""
    learnt = played.learnt
    held = [phone["held"] for phone in played.seen if phone["household"] in learnt.left_all]
    return {
        "count": len(learnt.left),
        "tickets_after": len(learnt.left.keys() & played.tickets_after["train"]),
        "contributions_after": sum(
            step > learnt.left[household] and household in each.contributors
            for step, each in enumerate(learnt.rounds)
            for household in learnt.left
        ),
        "left_behind": {name: sum(each[name] for each in held) for name in ("events", "tags", "model")},
    }


def epsilon_spent(played: ScenarioRun, budget: Budget) -> dict[str, Any]:
    """Return the most that any one phone's odometer shows, for each purpose and for all together."""
    caps, seen = budget.caps.per_purpose, played.seen
    dearest = max(seen, key=lambda phone: phone["spent"])
    return {
        "per_purpose": {name: max(phone["spent_on"][name] for phone in seen) for name in caps},
        "per_person_max": dearest["spent"],
        "accountants": dearest["accountants"],
        "cap": budget.caps.total,
        "caps": dict(caps),
        "delta": budget.delta,
    }


def medians_report(seen: Sequence[Seen], asked: ShopRound) -> dict[str, Any]:
    """Return Q20 as released and as it is."""
    people, played = contributors(seen, asked), asked.result
    released = dict(played["released"])
    histograms = released.pop("histograms")
    return {
        "epsilon": played["epsilon"],
        "released": released,
        "truth": {name: float(np.median(_values(people, fact))) for name, fact in FACTS.items()},
        "sd": played["sd"],
        "histograms": {
            name: {
                "edges": _edges(fact),
                "released": histograms[name],
                "truth": _histogram(people, fact),
            }
            for name, fact in FACTS.items()
        },
    }


def segments_report(seen: Sequence[Seen], asked: ShopRound, exact: Mapping[str, float]) -> dict[str, Any]:
    """Return Q1 as released, and as it is by the `exact` medians.

    Phones sort themselves by the released ones; `at_released_cuts` counts that, without noise.
    """
    people, played = contributors(seen, asked), asked.result
    return {
        "epsilon": played["epsilon"],
        "released": played["released"],
        "truth": _counts(_segment(phone["facts"], exact) for phone in people),
        "at_released_cuts": _counts(phone["facts"]["segment"] for phone in people),
        "sd": played["sd"],
        "least_cell": played["least_cell"],
    }


def tag_counts(seen: Sequence[Seen]) -> dict[str, dict[str, int]]:
    """Return how many phones hold each kind of tag; a phone with three habits counts once."""
    found: dict[str, Counter[str]] = {}
    for phone in seen:
        for kind, value in {(kind_of(tag["id"])[0], tag["value"]) for tag in phone["tags"]}:
            found.setdefault(kind, Counter())[value] += 1
    return {name: dict(sorted(counts.items(), key=_rank)) for name, counts in sorted(found.items())}


def _rank(counted: tuple[str, int]) -> tuple[int, str]:
    value = counted[0]
    return (SEGMENTS.index(value) if value in SEGMENTS else len(SEGMENTS), value)


def round_report(played: Mapping[str, Any]) -> dict[str, Any]:
    """Return a round's line in the report."""
    names = ("query", "purpose", "volunteers", "included", "final", "epsilon", "evidence_index", "seconds")
    parameters = ("committees", "integrity_proved", "least_set", "honest", "sigma")
    return {"round": played["round_id"], **{name: played[name] for name in (*names, *parameters)}}


def ledger_report(phone: Seen) -> dict[str, Any]:
    """Return one phone's ledger as its owner reads it."""
    entries = [
        {
            "at": datetime.fromtimestamp(entry["at"] / 1000, UTC).isoformat(),
            "en": entry["en"],
            "zh": entry["zh"],
            "epsilon": entry["epsilon"] or None,
        }
        for entry in phone["ledger"]
    ]
    return {"device": f"household {phone['household']}", "entries": entries}


def _segment(facts: Mapping[str, Any], cuts: Mapping[str, float]) -> str | None:
    """Return the segment that these cuts put a phone into."""
    if facts["orders"] is None:
        return None
    near, often = facts["recency_days"] <= cuts["recency"], facts["orders"] >= cuts["frequency"]
    return value_tags.SEGMENTS[near, often, facts["mean_order_minor"] > cuts["monetary"]]


def _counts(values: Iterable[str | None]) -> dict[str, int]:
    counts = Counter(values)
    return {segment: counts[segment] for segment in SEGMENTS}


def _values(people: Sequence[Seen], fact: str) -> list[float]:
    return [phone["facts"][fact] for phone in people if phone["facts"][fact] is not None]


def _edges(fact: str) -> list[float]:
    """Return all bounds of a fact's bins; the two open ends are drawn as wide as their neighbours."""
    bins = QUERIES["q20"].histograms[fact]
    inner = [float(edge) for edge in bins.edges] if isinstance(bins, LogBins) else [1.0, 1.0]
    ratio = inner[1] / inner[0]
    return [inner[0] / ratio, *inner, inner[-1] * ratio]


def _histogram(people: Sequence[Seen], fact: str) -> list[int]:
    bins = QUERIES["q20"].histograms[fact]
    counts = Counter(bins.index(value) for value in _values(people, fact))
    return [counts[index] for index in range(bins.count)]


def add_counts(counts: Iterable[Mapping[str, int] | None]) -> dict[str, int]:
    """Return the sums of counts by name."""
    total: Counter[str] = Counter()
    for some in counts:
        total.update(some or {})
    return dict(total)
