"""What the people do with their phones, and what only a simulation may look at."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from covey_models.p1_steps import CATALOGUE, MODEL
from covey_privacy.consent import GRANTED, Batch
from covey_privacy.secagg import ring
from covey_privacy.tickets import purpose_set
from covey_sdk import ledger
from covey_sdk.errors import ConsentError
from covey_sdk.events import Event, OrderPaid, parse
from covey_simulations import draw, orders
from covey_simulations.phone import Phones
from covey_simulations.world import CANDIDATES

SETS = {
    "count": purpose_set({"analytics", "personalize"}),
    "train": purpose_set({"train", "personalize"}),
}
"""The purposes that questions need, and steps of the training."""
BEST = 10
"""How many items each ranking is looked at for."""


def enrol(phones: Phones, households: list[int]) -> dict[str, int]:
    """Make the households' devices known and decide as drawn.

    Return how many of the grants, by purpose, the registry confirmed, and how many households have none.
    """
    enrolments: list[tuple[bytes, bytes]] = []
    decisions: list[tuple[bytes, bytes]] = []
    for household in households:
        with phones.open(household) as device:
            key, granted = device.key.public, draw.grants(phones.world.seed, household)
            enrolments.append((device.enrolment(), key))
            decisions.extend((device.decision(purpose, GRANTED), key) for purpose in granted)
    phones.registry.enrol(_batch(enrolments))
    if decisions:
        phones.registry.decide(_batch(decisions))
    confirmed: Counter[str] = Counter()
    for household in households:
        with phones.open(household) as device:
            device.sync()
            allowed = list(filter(device.gate().allows, device.choices))
        confirmed.update(allowed or ["nothing"])
    return dict(confirmed)


def record(phones: Phones, households: list[int]) -> dict[str, int]:
    """Let the phones take their orders up; return how much of them was kept."""
    counts = {"orders": 0, "lines": 0, "sensitive_lines_dropped": 0}
    for household in households:
        told = [parse(order) for order in orders.read(phones.world.orders, household)]
        with phones.open(household) as device:
            if not device.record_many(told):
                continue
            kept = device.portrait.history(device.gate())
        counts["orders"] += len(kept.orders)
        counts["lines"] += len(kept.purchases)
        counts["sensitive_lines_dropped"] += _lines(told) - len(kept.purchases)
    return counts


def _lines(events: Iterable[Event]) -> int:
    return sum(len(event.lines) for event in events if isinstance(event, OrderPaid))


def fetch(phones: Phones, households: list[int], sets: list[str]) -> list[tuple[int, list[str]]]:
    """Let the phones fetch the epoch's tickets for some of `SETS`; return what each has some for."""
    return [(household, _fetched(phones, household, sets)) for household in households]


def _fetched(phones: Phones, household: int, sets: list[str]) -> list[str]:
    with phones.open(household) as device:
        fetched = phones.door(device).fetch_tickets(phones.epoch, *(SETS[name] for name in sets))
    return [name for name in sets if SETS[name] in fetched]


def withdraw(phones: Phones, households: list[int], purpose: str) -> None:
    """Withdraw a purpose, through the registry."""
    for household in households:
        with phones.open(household) as device:
            device.withdraw(purpose)


def adopt(phones: Phones, households: list[int]) -> list[int]:
    """Let the phones take the catalogue and the model that the shop publishes; return those that did."""
    documents = {name: (phones.world.public / name).read_bytes() for name in (CATALOGUE, MODEL)}
    return [household for household in households if _adopted(phones, household, documents)]


def _adopted(phones: Phones, household: int, documents: Mapping[str, bytes]) -> bool:
    with phones.open(household) as device:
        try:
            for name, signed in documents.items():
                device.adopt(name, signed)
        except ConsentError:
            return False
        return True


def taste(phones: Phones, households: list[int]) -> list[dict[str, Any]]:
    """Return what each phone would build its part of the training on."""
    return [_taste(phones, household) for household in households]


def _taste(phones: Phones, household: int) -> dict[str, Any]:
    with phones.open(household) as device:
        facts = device.facts()
    return {"household": household, "items": facts["items"], "adopted": facts["adopted"]}


def rank(phones: Phones, households: list[int]) -> list[dict[str, Any]]:
    """Return what each phone ranks first, of what is new to its owner and of what to buy again."""
    candidates = json.loads((phones.world.public / CANDIDATES).read_text("utf-8"))
    return [_ranked(phones, household, candidates) for household in households]


def _ranked(phones: Phones, household: int, candidates: list[str]) -> dict[str, Any]:
    with phones.open(household) as device:
        rankings = {ranking: device.recommend(candidates, BEST, ranking) for ranking in ("new", "again")}
        bought = device.portrait.bought(device.gate())
    return {
        **_taste(phones, household),
        "counts": {item: len(days) for item, days in bought.items()},
        **{
            ranking: [
                {
                    "item": each.item,
                    "score": each.score,
                    "reasons": [
                        {
                            "code": r.code,
                            "amount": r.amount,
                            "about": r.about,
                            "en": r.said_en,
                            "zh": r.said_zh,
                        }
                        for r in each.reasons
                    ],
                }
                for each in ranked
            ]
            for ranking, ranked in rankings.items()
        },
    }


def sums(phones: Phones, round_id: str, length: int, bits: int) -> tuple[bytes, list[int]]:
    """Return the modular sum of what the ledgers say was sent in a round, packed, and whose it is."""
    total, senders = np.zeros(length, np.uint32), []
    for household in phones.households:
        with phones.open(household) as device:
            for entry in device.ledger():
                if entry.kind == ledger.CONTRIBUTION and entry.round_id == round_id and entry.vector:
                    total += ring.unpack(entry.vector, length, bits)
                    senders.append(household)
    return ring.pack(total, bits), senders


def look(phones: Phones, households: list[int]) -> list[dict[str, Any]]:
    """Return each phone's tags, facts, rounds and privacy spent: what only a simulation may see."""
    return [_seen(phones, household) for household in households]


def _seen(phones: Phones, household: int) -> dict[str, Any]:
    with phones.open(household) as device:
        entries = device.ledger()
        return {
            "household": household,
            "tags": [
                {"id": tag.id, "value": tag.value, "evidence": [asdict(fact) for fact in tag.evidence]}
                for tag in device.tags()
            ],
            "facts": dict(device.facts()),
            "rounds": [e.round_id for e in entries if e.kind == ledger.CONTRIBUTION],
            "spent": device.odometer.spent(device.clock.now()),
            "spent_on": {
                purpose: device.odometer.spent(device.clock.now(), purpose)
                for purpose in ("analytics", "train")
            },
            "held": {
                "events": len(device.journal),
                "tags": len(device.tags()),
                "model": device.releases.model() is not None,
            },
            "ledger": [{"at": e.at, "en": e.said_en, "zh": e.said_zh, "epsilon": e.epsilon} for e in entries],
        }


def _batch(signed: list[tuple[bytes, bytes]]) -> Batch:
    messages, devices = zip(*signed, strict=True)
    return Batch(messages, devices)
