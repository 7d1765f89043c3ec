"""A shop whose phones stand ready: what can be done with all of them, one thing after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
from flwr.app import Context, RecordDict

from covey_privacy.dp.odometer import Caps
from covey_privacy.secagg.field import Q, centred
from covey_server import coordinator, node
from covey_server.flower import InProcessGrid
from covey_server.node_messages import EXCHANGES
from covey_server.round_result import exact_results
from covey_server.store import Store
from covey_simulations.data import orders
from covey_simulations.devices import household
from covey_simulations.devices.process_pool import ProcessPool
from covey_simulations.progress import Progress
from covey_simulations.scenarios.clock import DAY, Clock
from covey_simulations.scenarios.shared_settings import SITE, SharedSettings

COMMITTEES = "standing+drawn"
GAMMA = 0.05
LOST = 0.1
"""Of the drawn decryptors: households' phones are at home, and few are silent (`draw.GO_DARK`)."""
TURNOUT = 0.95
HOURS = {"volunteer": 4, "contribute": 8, "check": 2, "open": 2}
"""How long a round's windows are open."""
ERRORS = 7
"""Standard deviations that the error of a long sum may have, in each of its entries."""

LOOKING = "Looking at what is true (simulation only)"

Seen = dict[str, Any]
"""What a simulation may see of one phone."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What counting, and what training, may cost one person at `delta`, under the `caps` of the notices."""

    analytics: float
    train: float
    delta: float
    caps: Caps


@dataclass(frozen=True, slots=True)
class ShopRound:
    """A round that was played: the coordinator's result, and whose ledgers say that they were in it.

    `holds` says whether the opened sum is the plain sum of what those ledgers hold: exactly for a short
    vector, within the error that the protocol states for a long one.
    """

    result: dict[str, Any]
    contributors: frozenset[int]
    holds: bool


class Shop:
    """A shop and its phones."""

    def __init__(
        self, world: SharedSettings, phones: ProcessPool, clock: Clock, progress: Progress, budget: Budget
    ) -> None:
        self.world, self.budget = world, budget
        self._phones, self._clock, self._progress = phones, clock, progress

    def each(self, title: str, what: str, households: Sequence[int]) -> list[Any]:
        """Let each of the households' phones do something; return what comes of it."""
        with self._progress.step(title, len(households)) as done:
            return self._phones.each(what, households, done)

    def fetch_tickets(self, households: Sequence[int]) -> Mapping[str, frozenset[int]]:
        """Open the epoch: the registry logs its keys, then phones fetch the batches that their owners allow.

        Return who has tickets for each of `household.SETS`.
        """
        for purposes in household.SETS.values():
            path = f"/v1/issuers/{self._epoch}/{'+'.join(purposes)}"
            httpx.get(self.world.registry_url + path).raise_for_status()
        fetched = self.each("Phones fetch their tickets", "fetch", households)
        return {name: frozenset(h for h, sets in fetched if name in sets) for name in household.SETS}

    def ask(self, name: str, epsilon: float) -> ShopRound:
        """Run the Flower coordinator for one round, and hold its sum against the phones' ledgers."""
        config = self._config(f"{name}={epsilon}")
        nodes = {
            number: Context(0, number, {"address": worker.address}, RecordDict(), config)
            for number, worker in enumerate(self._phones.workers, 2)
        }
        with self._progress.step(f"Round {name}", len(EXCHANGES) * len(nodes)) as done:
            grid = InProcessGrid(node.app, nodes, lambda _exchange, _node: done(1))
            coordinator.app(grid, Context(0, 1, {}, RecordDict(), config))
        operator = coordinator.operator_key(self.world.folder)
        return self._checked(self.stored(lambda store: exact_results(store, operator)[-1]))

    def stored(self, read: Callable[[Store], Any]) -> Any:
        """Return what `read` finds in the coordinator's store."""
        with closing(Store(self.world.folder / coordinator.STORE)) as store:
            return read(store)

    def a_day_later(self) -> None:
        """Let a day go by, for the registry and for every phone."""
        self._forward(DAY)

    def next_epoch(self) -> None:
        """Let the rest of the epoch go by: its tickets die with it."""
        end = (self._epoch + 1) * self.world.epoch_seconds
        self._forward(end - self._clock.seconds())

    def _forward(self, seconds: float) -> None:
        self._clock.forward(seconds)

    @property
    def _epoch(self) -> int:
        return int(self._clock.seconds()) // self.world.epoch_seconds

    def _checked(self, result: dict[str, Any]) -> ShopRound:
        opened = np.frombuffer(bytes.fromhex(result.pop("sum")), "<u4").astype(np.int64)
        parts = self._phones.all("sums", result["round_id"])
        total = sum((np.frombuffer(packed, "<i8") for packed, _ in parts if packed), np.int64(0))
        senders = frozenset(household for _, some in parts for household in some)
        error = np.abs(centred((opened - total) % Q))
        return ShopRound(result, senders, bool(error.max() <= ERRORS * result["error_variance"] ** 0.5))

    def _config(self, queries: str) -> dict[str, bool | int | float | str]:
        return {
            "queries": queries,
            "epsilon-cap": self.budget.analytics,
            "train-epsilon-cap": self.budget.train,
            "catalogue": str(self.world.orders / orders.CATALOGUE),
            "profile": self.world.profile,
            "delta": self.budget.delta,
            "committees": COMMITTEES,
            "privacy": 1,
            "gamma": GAMMA,
            "lost": LOST,
            "turnout": TURNOUT,
            **{f"{window}-seconds": hours * 3600 for window, hours in HOURS.items()},
            "phase-timeout": 600.0,
            "state-dir": str(self.world.folder),
            "site": SITE,
            "clock": "covey_simulations.scenarios.clock:Clock",
            "fleet": "covey_simulations.devices.process_pool:connect_worker",
        }
