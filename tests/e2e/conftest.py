"""A small shop: 26 phones behind two nodes, a registry with a witness, four decryptors and a coordinator.

Registry, witness and decryptors answer on loopback, the nodes over an in-process grid.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import cbor2
import httpx
import numpy as np
import pytest
from flwr.app import Context, RecordDict
from opened_sums import integers

from covey_privacy import wire
from covey_privacy.dp.odometer import Caps
from covey_privacy.evidence import Evidence
from covey_privacy.manifest import Manifest, open_manifest
from covey_privacy.registry_messages import LEAF_EVIDENCE, LEAF_MANIFEST, Entries
from covey_privacy.signatures import Signed, digest_of
from covey_sdk import ledger
from covey_server import coordinator, node
from covey_server.flower import InProcessGrid
from covey_server.round_result import exact_results
from covey_server.store import Store
from covey_simulations.data import orders
from covey_simulations.devices import household
from covey_simulations.devices.phone import Phones
from covey_simulations.scenarios import environment, random_choices
from covey_simulations.scenarios.clock import Clock
from covey_simulations.scenarios.shared_settings import SITE, SharedSettings

SEED = 1
DAY = 86_400


ITEMS = tuple(f"{kind} {number}" for kind in ("tea", "bread", "soap", "rope") for number in range(10))
LEVELS = {
    "department": [item.split()[0] for item in ITEMS],
    "category": [f"{item.split()[0]} {int(item.split()[1]) // 5}" for item in ITEMS],
}
QUESTIONS = ("q20", "q1", "p1-base", "p1-gram", "p1-half-step")


def willing(count: int, purpose: str = "analytics") -> tuple[int, ...]:
    """Households that allow a purpose and whose phones never go dark."""
    chosen = (
        h
        for h in range(1, 1000)
        if purpose in random_choices.grants(SEED, h)
        and not any(random_choices.goes_dark(SEED, h, q) for q in QUESTIONS)
    )
    return tuple(h for h, _ in zip(chosen, range(count), strict=False))


def history(number: int) -> list[dict]:
    """Some orders of two items each; the number decides how many, how large, how long ago, and of what."""
    start = orders.CUT - timedelta(days=number % 40)
    days = [start - timedelta(days=9 * i) for i in range(1 + number % 7)]
    amount = 1000 + 500 * (number % 13)
    return [
        {
            "type": "order_paid",
            "order_id": f"{number}-{i}",
            "at_ms": int(day.timestamp() * 1000),
            "tz_offset_min": -300,
            "currency": "USD",
            "total_minor": amount,
            "lines": [
                {"item_id": item, "category": "TEAS", "paid_minor": amount // 2}
                for item in (ITEMS[(number + i) % 10], ITEMS[(7 * number + 3 * i) % 40])
            ],
        }
        for i, day in enumerate(days)
    ]


@dataclass
class SmallShop:
    world: SharedSettings
    clock: Clock
    stack: ExitStack
    train_cap: float

    def phones(self) -> Phones:
        return self.stack.enter_context(Phones(self.world, self.world.households))

    def config(self, *questions: str, **changes) -> dict:
        """The run config of a coordinator that asks these questions."""
        return {
            "queries": " ".join(questions),
            "epsilon-cap": 2.0,
            "train-epsilon-cap": self.train_cap,
            "catalogue": str(self.world.orders / orders.CATALOGUE),
            "profile": "test",
            "delta": 1e-6,
            "committees": "standing",
            "privacy": 1,
            "gamma": 0.05,
            "lost": 0.0,
            "turnout": 1.0,
            "volunteer-seconds": 60,
            "contribute-seconds": 300,
            "check-seconds": 60,
            "open-seconds": 60,
            "phase-timeout": 60.0,
            "state-dir": str(self.world.folder),
            "site": SITE,
            "clock": "covey_simulations.scenarios.clock:Clock",
            "fleet": "covey_simulations.devices.flower_fleet:build_fleet",
            **changes,
        }

    def ask(self, *questions: str, **changes) -> list[dict]:
        """Let phones fetch their tickets, then run the coordinator; return the results of all rounds."""
        self.fetch_tickets()
        config = self.config(*questions, **changes)
        shards = ({"partition-id": shard, "num-partitions": 2} for shard in (0, 1))
        nodes = {n: Context(0, n, shard, RecordDict(), config) for n, shard in enumerate(shards, 2)}
        coordinator.app(InProcessGrid(node.app, nodes), Context(0, 1, {}, RecordDict(), config))
        return self.results()

    def fetch_tickets(self) -> None:
        """Let every phone fetch the epoch's tickets that its owner allows, unless it has."""
        with Phones(self.world, self.world.households) as phones:
            household.fetch(phones, list(self.world.households))

    def stored(self, read):
        """What `read` finds in the coordinator's store."""
        with closing(Store(self.world.folder / coordinator.STORE)) as store:
            return read(store)

    def results(self) -> list[dict]:
        operator = coordinator.operator_key(self.world.folder)
        return self.stored(lambda store: exact_results(store, operator))

    def sent(self, round_id: str) -> dict[int, bytes]:
        """What each phone's ledger says that it sent in a round."""
        phones, found = self.phones(), {}
        for number in self.world.households:
            with phones.open(number) as device:
                for entry in device.ledger():
                    if entry.kind == ledger.CONTRIBUTION and entry.round_id == round_id:
                        found[number] = entry.vector
        return found

    def logged(self, kind: bytes) -> list[bytes]:
        """What the registry's log holds of a kind, oldest first."""
        with httpx.Client(base_url=self.world.registry_url) as client:
            size = int(client.get("/v1/log/checkpoint").text.splitlines()[1])
            answer = client.get("/v1/log/entries", params={"start": 0, "end": size}).raise_for_status()
        return [entry[1:] for entry in wire.decode(Entries, answer.content).entries if entry[:1] == kind]

    def evidence(self) -> list[Evidence]:
        """The evidence of all rounds, from the log."""
        return [wire.decode(Evidence, wire.decode(Signed, e).body) for e in self.logged(LEAF_EVIDENCE)]

    def signed_manifest(self, round_id: str) -> bytes:
        """The signed manifest of a round, from the registry's log."""
        logged = self.logged(LEAF_MANIFEST)
        return next(m for m in logged if open_manifest(m, self.world.trust.operator).round_id == round_id)

    def manifest(self, round_id: str) -> Manifest:
        return open_manifest(self.signed_manifest(round_id), self.world.trust.operator)

    def manifest_digest(self, round_id: str) -> bytes:
        return digest_of(self.signed_manifest(round_id))

    def plain_sum(self, round_id: str) -> np.ndarray:
        """The sum of what the ledgers say was sent, as signed integers."""
        return np.sum([integers(vector) for vector in self.sent(round_id).values()], axis=0)

    def a_day_later(self) -> None:
        self.clock.forward(DAY)


def open_shop(
    stack: ExitStack,
    folder: Path,
    cap: float = 2.0,
    count: int = 26,
    slots: int = 2,
    train_cap: float = 4.0,
    purpose: str = "analytics",
) -> SmallShop:
    """Open a small shop whose people allow a purpose, with the given yearly caps in its notices."""
    households = willing(count, purpose)
    (folder / "orders").mkdir()
    for number in households:
        (folder / "orders" / f"{number}.cbor").write_bytes(cbor2.dumps(history(number)))
    catalogue = {"items": ITEMS, "levels": LEVELS}
    (folder / "orders" / orders.CATALOGUE).write_text(json.dumps(catalogue), "utf-8")
    clock = Clock.starting(folder, orders.CUT + timedelta(hours=10))
    world = stack.enter_context(
        environment.set_up_environment(
            folder,
            coordinator.operator_key(folder),
            clock,
            households=households,
            seed=SEED,
            profile="test",
            caps=Caps({"analytics": cap, "train": train_cap}, cap + train_cap, 1e-6),
            slots=slots,
        )
    )
    shop = SmallShop(world, clock, stack, train_cap)
    phones = shop.phones()
    household.enrol(phones, list(households))
    household.record(phones, list(households))
    return shop


@pytest.fixture
def small_shop(tmp_path: Path, lent_keys: None) -> Iterator:
    """Return what opens a small shop."""
    with ExitStack() as stack:
        yield partial(open_shop, stack, tmp_path)


@pytest.fixture(scope="module")
def lasting_shop(tmp_path_factory, private_keys) -> Iterator:
    """Return what opens small shops for all tests of a module."""
    with private_keys.lent(), ExitStack() as stack:
        yield lambda **options: open_shop(stack, tmp_path_factory.mktemp("shop"), **options)
