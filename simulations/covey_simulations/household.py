"""What the people do with their phones, and what only a simulation may look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from covey_privacy.consent import GRANTED, Batch
from covey_privacy.tickets import purpose_set
from covey_sdk import ledger
from covey_sdk.errors import ConsentError
from covey_sdk.events import Event, OrderPaid, parse
from covey_simulations import draw, orders
from covey_simulations.phone import Phones

PURPOSES = purpose_set({"analytics", "personalize"})
"""What both questions need."""


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
            kept = device.journal.events()
        counts["orders"] += len(kept)
        counts["lines"] += _lines(kept)
        counts["sensitive_lines_dropped"] += _lines(told) - _lines(kept)
    return counts


def _lines(events: Iterable[Event]) -> int:
    return sum(len(event.lines) for event in events if isinstance(event, OrderPaid))


def fetch(phones: Phones, households: list[int]) -> list[int]:
    """Let the phones fetch the epoch's tickets; return whose phones have some."""
    return [household for household in households if _fetched(phones, household)]


def _fetched(phones: Phones, household: int) -> bool:
    with phones.open(household) as device:
        try:
            phones.door(device).fetch_tickets(PURPOSES, phones.epoch)
        except ConsentError:
            return False
        return True


def withdraw(phones: Phones, households: list[int]) -> None:
    """Withdraw `analytics`, through the registry."""
    for household in households:
        with phones.open(household) as device:
            device.withdraw("analytics")


def look(phones: Phones, households: list[int]) -> list[dict[str, Any]]:
    """Return each phone's tags, facts, contributions and privacy spent: what only a simulation may see."""
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
            "contributions": {e.round_id: e.vector for e in entries if e.kind == ledger.CONTRIBUTION},
            "spent": device.odometer.spent(device.clock.now()),
            "ledger": [{"at": e.at, "en": e.said_en, "zh": e.said_zh, "epsilon": e.epsilon} for e in entries],
        }


def _batch(signed: list[tuple[bytes, bytes]]) -> Batch:
    messages, devices = zip(*signed, strict=True)
    return Batch(messages, devices)
