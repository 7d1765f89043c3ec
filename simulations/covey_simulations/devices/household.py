"""What the people do with their phones."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping

from covey_models.recommender.steps import CATALOGUE, MODEL
from covey_privacy.certificate import AbsentSince, verify_certificate
from covey_privacy.registry_messages import GRANTED, Batch
from covey_privacy.tickets import purpose_set
from covey_sdk.errors import ConsentError
from covey_sdk.events import Event, OrderPaid, parse
from covey_simulations.data import orders, shop_rules
from covey_simulations.devices.phone import Phones
from covey_simulations.scenarios import random_choices

SETS = {
    "count": purpose_set({"analytics", "personalize"}),
    "train": purpose_set({"train", "personalize"}),
}
"""The purposes that questions need, and steps of the training."""


def enrol(phones: Phones, households: list[int]) -> dict[str, int]:
    """Make the households' devices known, with the shop's rule bundle, and decide as drawn.

    Return how many of the grants, by purpose, the registry confirmed, and how many households have none.
    """
    enrolments: list[tuple[bytes, bytes]] = []
    decisions: list[tuple[bytes, bytes]] = []
    rules = (phones.world.public / shop_rules.NAME).read_bytes()
    for household in households:
        with phones.open(household) as device:
            device.adopt_rules(rules)
            key, granted = device.key.public, random_choices.grants(phones.world.seed, household)
            enrolments.append((device.enrolment(), key))
            decisions.extend((device.decision(purpose, GRANTED), key) for purpose in granted)
    phones.registry.enrol(_batch(enrolments))
    if decisions:
        phones.registry.decide(_batch(decisions))
    confirmed = phones.each(lambda household: _confirmed(phones, household), households)
    return dict(Counter(itertools.chain.from_iterable(confirmed)))


def _confirmed(phones: Phones, household: int) -> list[str]:
    with phones.open(household) as device:
        device.sync()
        return list(filter(device.gate().allows, device.choices)) or ["nothing"]


def record(phones: Phones, households: list[int]) -> dict[str, int]:
    """Let the phones take their orders up; return how much of them was kept."""
    counts = {"orders": 0, "lines": 0, "sensitive_lines_dropped": 0}
    for household in households:
        told = [parse(order) for order in orders.read_orders(phones.world.orders, household)]
        with phones.open(household) as device:
            if not device.record_many(told):
                continue
            kept = device.profile.history(device.gate())
        counts["orders"] += len(kept.orders)
        counts["lines"] += len(kept.purchases)
        counts["sensitive_lines_dropped"] += _lines(told) - len(kept.purchases)
    return counts


def _lines(events: Iterable[Event]) -> int:
    return sum(len(event.lines) for event in events if isinstance(event, OrderPaid))


def fetch(phones: Phones, households: list[int]) -> list[tuple[int, list[str]]]:
    """Let the phones fetch the epoch's tickets; return for which of `SETS` each has some."""
    return phones.each(lambda household: (household, _fetched(phones, household)), households)


def _fetched(phones: Phones, household: int) -> list[str]:
    with phones.open(household) as device:
        fetched = device.ticket_fetcher().fetch(phones.epoch, *SETS.values())
    return [name for name, purposes in SETS.items() if purposes in fetched]


def withdraw(phones: Phones, households: list[int], purpose: str) -> None:
    """Withdraw a purpose, through the registry."""
    for household in households:
        with phones.open(household) as device:
            device.withdraw(purpose)


def certify(phones: Phones, households: list[int]) -> dict[str, int]:
    """Let the phones prove that none of their round keys is in a set since each withdrawal; count the proofs.

    What a phone makes is verified as anyone else would: from the operator's key and the site document alone.
    """
    trust, site = phones.world.trust, phones.world.site
    counts = {"made": 0, "verified": 0}
    for household in households:
        with phones.open(household) as device:
            made = [device.certificate(since=each.at) for each in device.withdrawals()]
        counts["made"] += len(made)
        for certificate in made:
            found = verify_certificate(certificate, trust.operator, site.log_view, phones.verify)
            counts["verified"] += isinstance(found, AbsentSince)
    return counts


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


def _batch(signed: list[tuple[bytes, bytes]]) -> Batch:
    messages, devices = zip(*signed, strict=True)
    return Batch(messages, devices)
