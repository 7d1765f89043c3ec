"""What only a simulation may look at: the phones from inside."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from covey_privacy.secagg.field import centred
from covey_sdk import ledger
from covey_sdk.reasons import Reason
from covey_sdk.recommender import Recommendation
from covey_simulations.devices.phone import Phones

RANKINGS = ("new", "again")
BEST = 10
"""How many items each ranking is looked at for."""
SHOWN = 5
"""How many items of each ranking are shown with their reasons."""


def taste_facts(phones: Phones, households: list[int]) -> list[dict[str, Any]]:
    """Return what each phone would build its part of the training on."""
    return [_taste(phones, household) for household in households]


def _taste(phones: Phones, household: int) -> dict[str, Any]:
    with phones.open(household) as device:
        facts = device.facts()
    return {"household": household, "items": facts["items"], "adopted": facts["adopted"]}


def rank_items(phones: Phones, households: list[int]) -> list[dict[str, Any]]:
    """Return what each phone ranks first, of what is new to its owner and of what to buy again."""
    candidates = phones.world.candidates()
    return [_ranked(phones, household, candidates) for household in households]


def _ranked(phones: Phones, household: int, candidates: list[str]) -> dict[str, Any]:
    with phones.open(household) as device:
        rankings = {name: device.recommend(candidates, BEST, name) for name in RANKINGS}
        bought = device.profile.bought(device.gate())
    return {
        **_taste(phones, household),
        "counts": {item: len(days) for item, days in bought.items()},
        **{name: [each.item for each in ranked] for name, ranked in rankings.items()},
    }


def explain_ranking(phones: Phones, households: list[int]) -> list[dict[str, Any]]:
    """Return the few first of each ranking with their reasons, as the owner may read them."""
    candidates = phones.world.candidates()
    return [_reasons(phones, household, candidates) for household in households]


def _reasons(phones: Phones, household: int, candidates: list[str]) -> dict[str, Any]:
    with phones.open(household) as device:
        first = {name: device.recommend(candidates, SHOWN, name) for name in RANKINGS}
    return {
        "household": household,
        **{name: list(map(_recommendation, ranked)) for name, ranked in first.items()},
    }


def _recommendation(best: Recommendation) -> dict[str, Any]:
    return {"item": best.item, "score": best.score, "reasons": list(map(_reason, best.reasons))}


def _reason(reason: Reason) -> dict[str, Any]:
    return {
        "code": reason.code,
        "amount": reason.amount,
        "about": reason.about,
        "en": reason.said_en,
        "zh": reason.said_zh,
    }


def contribution_sums(phones: Phones, round_id: str) -> tuple[bytes, list[int]]:
    """Return the sum of what the ledgers say was sent in a round, as 64-bit integers, and whose it is."""
    vectors, senders = [], []
    for household in phones.households:
        with phones.open(household) as device:
            for entry in device.ledger():
                if entry.kind == ledger.CONTRIBUTION and entry.round_id == round_id and entry.vector:
                    vectors.append(centred(np.frombuffer(entry.vector, "<u4").astype(np.int64)))
                    senders.append(household)
    total = np.sum(vectors, axis=0, dtype=np.int64) if vectors else np.zeros(0, np.int64)
    return total.tobytes(), senders


def inspect_device(phones: Phones, households: list[int]) -> list[dict[str, Any]]:
    """Return each phone's tags, facts, rounds and privacy spent: what only a simulation may see."""
    return [_seen(phones, household) for household in households]


def _seen(phones: Phones, household: int) -> dict[str, Any]:
    with phones.open(household) as device:
        entries, tags = device.ledger(), device.tags()
        spent = device.odometer.account(device.clock.now())
        return {
            "household": household,
            "tags": [
                {
                    "id": tag.id,
                    "value": tag.value,
                    "test": {"en": tag.said_en, "zh": tag.said_zh},
                    "evidence": [asdict(fact) for fact in tag.evidence],
                }
                for tag in tags
            ],
            "facts": {name: fact for name, fact in device.facts().items() if not isinstance(fact, frozenset)},
            "rounds": [e.round_id for e in entries if e.kind == ledger.CONTRIBUTION],
            "spent": spent.epsilon,
            "accountants": spent.figures(),
            "spent_on": {
                purpose: device.odometer.spent(device.clock.now(), purpose)
                for purpose in ("analytics", "train")
            },
            "held": {
                "events": len(device.journal),
                "tags": len(tags),
                "model": device.releases.model() is not None,
            },
            "ledger": [{"at": e.at, "en": e.said_en, "zh": e.said_zh, "epsilon": e.epsilon} for e in entries],
        }
