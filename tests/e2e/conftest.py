"""A small shop: 26 phones, a registry on loopback, coordinator and node over an in-process grid; all real."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import cbor2
import httpx
import numpy as np
import pytest
from flwr.app import Context, RecordDict

from covey_privacy import wire
from covey_privacy.consent import LEAF_MANIFEST, Entries
from covey_privacy.manifest import Manifest, open_manifest
from covey_privacy.secagg import ring
from covey_privacy.signatures import digest_of
from covey_sdk import ledger
from covey_server import coordinator, node
from covey_server.flower import InProcessGrid
from covey_server.store import Store
from covey_simulations import draw, household, orders, stage
from covey_simulations.clock import Clock
from covey_simulations.phone import Phones
from covey_simulations.world import World

SEED = 1
DAY = 86_400


def willing(count: int) -> tuple[int, ...]:
    """Households that allow statistics and whose phones never go dark."""
    chosen = (
        h
        for h in range(1, 1000)
        if "analytics" in draw.grants(SEED, h) and not any(draw.goes_dark(SEED, h, q) for q in ("q20", "q1"))
    )
    return tuple(h for h, _ in zip(chosen, range(count), strict=False))


def history(number: int) -> list[dict]:
    """Some orders; the number decides how many, how large and how long ago."""
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
            "lines": [{"item_id": "1", "category": "tea", "paid_minor": amount}],
        }
        for i, day in enumerate(days)
    ]


@dataclass
class SmallShop:
    world: World
    clock: Clock

    stack: ExitStack

    def phones(self) -> Phones:
        return self.stack.enter_context(Phones(self.world, self.world.households))

    def ask(self, *questions: str, **changes) -> list[dict]:
        """Run the coordinator; return the results of all rounds so far."""
        config = {
            "queries": " ".join(questions),
            "epsilon-cap": 2.0,
            "profile": "test",
            "delta": 1e-6,
            "gamma": 0.05,
            "dropout": 0.05,
            "turnout": 1.0,
            "phase-timeout": 60.0,
            "state-dir": str(self.world.folder),
            "registry-url": self.world.registry_url,
            "registry-key": self.world.registry_key,
            "fleet": "covey_simulations.fleet:build",
            **changes,
        }
        shards = ({"partition-id": shard, "num-partitions": 2} for shard in (0, 1))
        nodes = {n: Context(0, n, shard, RecordDict(), config) for n, shard in enumerate(shards, 2)}
        coordinator.app(InProcessGrid(node.app, nodes), Context(0, 1, {}, RecordDict(), config))
        return self.results()

    def results(self) -> list[dict]:
        with closing(Store(self.world.folder / coordinator.STORE)) as store:
            return store.results()

    def sent(self, round_id: str) -> dict[int, bytes]:
        """What each phone's ledger says that it sent in a round."""
        phones, found = self.phones(), {}
        for number in self.world.households:
            with phones.open(number) as device:
                for entry in device.ledger():
                    if entry.kind == ledger.CONTRIBUTION and entry.round_id == round_id:
                        found[number] = entry.vector
        return found

    def signed_manifest(self, round_id: str) -> bytes:
        """The signed manifest of a round, from the registry's log."""
        with httpx.Client(base_url=self.world.registry_url) as client:
            size = int(client.get("/v1/log/checkpoint").text.splitlines()[1])
            answer = client.get("/v1/log/entries", params={"start": 0, "end": size}).raise_for_status()
        entries = wire.decode(Entries, answer.content).entries
        logged = [entry[1:] for entry in entries if entry[:1] == LEAF_MANIFEST]
        return next(m for m in logged if open_manifest(m, self.world.trust.operator).round_id == round_id)

    def manifest(self, round_id: str) -> Manifest:
        return open_manifest(self.signed_manifest(round_id), self.world.trust.operator)

    def manifest_digest(self, round_id: str) -> bytes:
        return digest_of(self.signed_manifest(round_id))

    def plain_sum(self, round_id: str, length: int, bits: int = 20) -> str:
        vectors = [ring.unpack(vector, length, bits) for vector in self.sent(round_id).values()]
        return ring.pack(np.sum(vectors, axis=0, dtype=np.uint32), bits).hex()

    def a_day_later(self) -> None:
        self.clock.forward(DAY)
        self.world = self.world.forward(DAY)
        self.world.save()


@pytest.fixture
def small_shop(tmp_path: Path) -> Iterator:
    """Return what opens a small shop with the given yearly cap in its notices."""
    with ExitStack() as stack:

        def opened(cap: float = 2.0, count: int = 26, tickets: int = 2, train_cap: float = 4.0) -> SmallShop:
            households = willing(count)
            (tmp_path / "orders").mkdir()
            for number in households:
                (tmp_path / "orders" / f"{number}.cbor").write_bytes(cbor2.dumps(history(number)))
            clock = Clock(orders.CUT.timestamp() + 10 * 3600 - time.time())
            world = stack.enter_context(
                stage.set_up(
                    tmp_path,
                    coordinator.operator_key(tmp_path).public,
                    clock,
                    households=households,
                    seed=SEED,
                    profile="test",
                    epsilon={"analytics": cap, "train": train_cap},
                    delta=1e-6,
                    tickets=tickets,
                )
            )
            shop = SmallShop(world, clock, stack)
            phones = shop.phones()
            household.enrol(phones, list(households))
            household.record(phones, list(households))
            return shop

        yield opened
