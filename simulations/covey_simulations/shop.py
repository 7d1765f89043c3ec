"""The acts of the main job: enrol, take up orders, count, change one's mind, count again."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import httpx
from flwr.app import Context, RecordDict

from covey_server import coordinator, node
from covey_server.fleet import PHASES
from covey_server.flower import InProcessGrid
from covey_server.store import Store
from covey_simulations import draw
from covey_simulations.clock import Clock
from covey_simulations.household import PURPOSES
from covey_simulations.phone import EPOCH_SECONDS
from covey_simulations.pool import Pool
from covey_simulations.progress import Progress
from covey_simulations.world import World

Q20_SHARE = 0.3
"""Of the whole epsilon, what the medians may spend; the segments get the rest."""
GAMMA = DROPOUT = 0.05
TURNOUT = 0.95
LOOKING = "Looking at what is true (simulation only)"

Counts = dict[str, int]
Seen = dict[str, Any]
"""What `household.look` gives for one phone."""


@dataclass(frozen=True, slots=True)
class Played:
    """What came of the acts, as the simulation saw it."""

    granted: list[Counts]
    kept: list[Counts]
    q20: dict[str, Any]
    seen_after_q20: list[Seen]
    leaving: frozenset[int]
    tickets_after: int
    q1: dict[str, Any]
    seen: list[Seen]


class Shop:
    """A shop whose phones stand ready; `epsilon` is what all counting may cost one person."""

    def __init__(
        self, world: World, phones: Pool, clock: Clock, progress: Progress, epsilon: float, delta: float
    ) -> None:
        self._world, self._phones, self._clock, self._progress = world, phones, clock, progress
        self._epsilon, self._delta = epsilon, delta

    def play(self) -> Played:
        """Play all acts."""
        everyone, seed = self._world.households, self._world.seed
        counted = [h for h in everyone if "analytics" in draw.grants(seed, h)]
        leaving = [h for h in counted if draw.withdraws(seed, h)]
        granted = self._each("Phones enrol; their owners decide", "enrol", everyone)
        kept = self._each("Phones take their orders up", "record", everyone)
        self._fetch_tickets(counted)
        q20 = self._ask("q20", Q20_SHARE * self._epsilon)
        seen_after_q20 = self._each(LOOKING, "look", counted)
        self._each("Some withdraw from statistics", "withdraw", leaving)
        self._a_day_later()
        with_tickets = self._fetch_tickets(counted)
        q1 = self._ask("q1", self._epsilon - Q20_SHARE * self._epsilon)
        seen = self._each(LOOKING, "look", everyone)
        left = frozenset(leaving)
        return Played(granted, kept, q20, seen_after_q20, left, len(left & with_tickets), q1, seen)

    def _fetch_tickets(self, households: Sequence[int]) -> frozenset[int]:
        """Open the epoch: the registry logs its key, then every willing phone fetches a batch."""
        path = f"/v1/issuers/{self._epoch}/{'+'.join(PURPOSES)}"
        httpx.get(self._world.registry_url + path).raise_for_status()
        return frozenset(self._each("Phones fetch their tickets", "fetch", households))

    @property
    def _epoch(self) -> int:
        return int(self._clock.seconds()) // EPOCH_SECONDS

    def _each(self, title: str, what: str, households: Sequence[int]) -> list[Any]:
        with self._progress.step(title, len(households)) as done:
            return self._phones.each(what, households, done)

    def _ask(self, query: str, epsilon: float) -> dict[str, Any]:
        """Run the Flower coordinator for one question; return the round's result."""
        config = self._config(f"{query}={epsilon}")
        nodes = {
            number: Context(0, number, {"address": worker.address}, RecordDict(), config)
            for number, worker in enumerate(self._phones.workers, 2)
        }
        with self._progress.step(f"Round {query}, five phases", len(PHASES) * len(nodes)) as done:
            grid = InProcessGrid(node.app, nodes, lambda _phase, _node: done(1))
            coordinator.app(grid, Context(0, 1, {}, RecordDict(), config))
        with closing(Store(self._world.folder / coordinator.STORE)) as store:
            return store.results()[-1]

    def _config(self, queries: str) -> dict[str, bool | int | float | str]:
        return {
            "queries": queries,
            "epsilon-cap": self._epsilon,
            "profile": self._world.profile,
            "delta": self._delta,
            "gamma": GAMMA,
            "dropout": DROPOUT,
            "turnout": TURNOUT,
            "phase-timeout": 600.0,
            "state-dir": str(self._world.folder),
            "registry-url": self._world.registry_url,
            "registry-key": self._world.registry_key,
            "fleet": "covey_simulations.pool:connect",
        }

    def _a_day_later(self) -> None:
        """Let the next epoch begin, for the registry and for every phone: one epoch a round."""
        self._clock.forward(EPOCH_SECONDS)
        self._phones.all("forward", EPOCH_SECONDS)
