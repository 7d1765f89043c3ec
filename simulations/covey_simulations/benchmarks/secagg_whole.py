"""A whole round by the clock: every party makes every check, with real tickets; devices in two processes.

Coordinator and registry stand in the process that was started. While phones contribute, the coordinator takes
their messages as they come.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import wait
from typing import Any

import numpy as np

from covey_privacy.secagg.aggregator import Aggregator
from covey_privacy.secagg.collector import Collector
from covey_privacy.secagg.terms import DecryptorId
from covey_simulations.benchmarks.secagg_devices import (
    CHECK,
    CONTRIBUTE,
    FINISH,
    OPEN,
    Account,
    Assignment,
    DeviceProcess,
    device_process,
)
from covey_simulations.benchmarks.secagg_parties import COORDINATOR, REGISTRY, Party, with_total
from covey_simulations.benchmarks.secagg_plan import RoundPlan
from covey_simulations.benchmarks.secagg_round import ROSTER, notary_for, require_sum
from covey_simulations.benchmarks.spans import timed_calls
from covey_simulations.progress import Done, Progress
from covey_simulations.scenarios.in_process_round import NODE, Players, new_issuers

PROCESSES = 2
VOLUNTEERING = "the volunteers' offers, the registry's check of each, roster and draw"
INCLUDED = (
    "each phone: checks the committee file with all it holds, encodes, adds noise, deals, pads, signs",
    "the coordinator: checks every ticket and signature, adds, works out the claims, opens the sum",
    "the registry: checks every key, ticket and signature of the included set",
    "each decryptor: checks the committee file, both signed and logged sets and every share, opens",
    "messages between processes as bytes",
)
NOT_INCLUDED = (
    "issuing the tickets and starting the processes (shown as before)",
    "manifest and consent checks",
    "storage and network",
)


class _Clock:
    """Seconds by the clock of each step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds[step] = time.monotonic() - began


def play_whole_round(plan: RoundPlan, progress: Progress) -> dict[str, Any]:
    """Play the round and return its seconds. Raises RunError for a wrong sum, WorkerError."""
    before, setting = _Clock(), plan.setting
    with progress.step("Phones and volunteers get their tickets", 1), before("tickets"):
        issuers = new_issuers()
        issuers[0].round_keys(setting.phones, os.urandom)
        issuers[1].round_keys(setting.volunteers, os.urandom)
    shapes = [shape for shape in (setting.standing, setting.drawn) if shape]
    steps = setting.phones + 2 * sum(shape.members for shape in shapes)
    with ExitStack() as stack:
        with before("processes"):
            processes = [stack.enter_context(device_process()) for _ in range(PROCESSES)]
            for process in processes:
                process.receive()
        with progress.step("A whole round", steps) as done:
            round_ = WholeRound(plan, Players(setting, issuers), processes, done)
            found = round_.play()
    return {"processes": PROCESSES, **found, "before_seconds": before.seconds}


class WholeRound:
    """A whole round, seen from coordinator and registry."""

    def __init__(
        self, plan: RoundPlan, players: Players, processes: Sequence[DeviceProcess], tell: Done
    ) -> None:
        self._plan, self._players, self._processes, self._tell = plan, players, processes, tell
        self._coordinator, self._registry = Party(COORDINATOR), Party(REGISTRY)

    def play(self) -> dict[str, Any]:
        """Play the round, from the volunteers' offers to the opened sum."""
        clock, players, log = _Clock(), self._players, self._players.log
        coordinator, registry = self._coordinator, self._registry
        began, processor = time.monotonic(), time.process_time()
        with clock("seating"):
            with timed_calls(registry.spans, ROSTER):
                file = players.seat()
            players.notary = notary_for(players, registry)
            self._assign(file)
        with clock("contributing"):
            with coordinator.acting():
                collector = Collector(players.info, file, {}, verify=coordinator.verify)
                aggregator = Aggregator(players.info, file, verify=coordinator.verify)
            self._collect(collector)
        with clock("including"):
            with coordinator.acting():
                aggregator.collect(NODE, collector.collected())
                request = aggregator.close()
            with registry.acting():
                signed = players.notary.include(file, request)
            logged = log.append(signed)
            with coordinator.acting():
                aggregator.included(signed, logged)
        with clock("checking"):
            self._ask(CHECK, lambda seat: aggregator.check_request(*seat), aggregator.complain)
        with clock("finalizing"):
            with coordinator.acting():
                request = aggregator.exclude()
            with registry.acting():
                signed = players.notary.final(request)
            logged = log.append(signed)
            with coordinator.acting():
                aggregator.final(signed, logged)
                request = aggregator.open_request()
        with clock("opening"):
            self._ask(OPEN, lambda _: request, aggregator.opened)
            with coordinator.acting():
                result = aggregator.conclude()
        wall, used = time.monotonic() - began, time.process_time() - processor
        accounts = [self._account(process) for process in self._processes]
        plain = np.sum([account.plain for account in accounts], axis=0)
        require_sum(result, plain, self._plan.setting.phones)
        parties = self._processor_seconds(accounts, used)
        return {
            "wall_seconds": wall,
            "step_seconds": clock.seconds,
            "all_processor_seconds": sum(parts["total"] for parts in parties.values()),
            "processor_seconds": parties,
            "included": (VOLUNTEERING, *INCLUDED) if self._plan.setting.drawn else INCLUDED,
            "not_included": NOT_INCLUDED,
        }

    def _assign(self, file: bytes) -> None:
        """Give each process its share of the phones and of the decryptors."""
        players = self._players
        keys = list(enumerate(players.round_keys))
        seats = [(seat, decryptor.dump()) for seat, decryptor in players.decryptors.items()]
        for place, process in enumerate(self._processes):
            mine, seated = dict(keys[place::PROCESSES]), dict(seats[place::PROCESSES])
            process.phones, process.seats = len(mine), list(seated)
            assignment = Assignment(
                self._plan, players.info, players.accepted, players.log.view, file, mine, seated
            )
            process.connection.send(assignment)

    def _collect(self, collector: Collector) -> None:
        """Let all phones contribute, and add their messages as they come."""
        missing: dict[Any, DeviceProcess] = {process.connection: process for process in self._processes}
        for process in self._processes:
            process.connection.send((CONTRIBUTE,))
        while missing := {each: process for each, process in missing.items() if process.phones}:
            for connection in wait(list(missing)):
                process = missing[connection]
                message = process.receive()
                with self._coordinator.acting():
                    collector.add(message)
                process.phones -= 1
                self._tell(1)

    def _ask(
        self, what: str, request: Callable[[DecryptorId], bytes], take: Callable[[bytes], object]
    ) -> None:
        """Ask all decryptors, one of each process at a time."""
        waiting: dict[Any, tuple[DeviceProcess, Iterator[DecryptorId]]] = {
            process.connection: (process, iter(process.seats)) for process in self._processes
        }
        for connection in list(waiting):
            self._ask_next(what, request, waiting, connection)
        while waiting:
            for connection in wait(list(waiting)):
                answer = waiting[connection][0].receive()
                with self._coordinator.acting():
                    take(answer)
                self._tell(1)
                self._ask_next(what, request, waiting, connection)

    def _ask_next(
        self,
        what: str,
        request: Callable[[DecryptorId], bytes],
        waiting: dict[Any, tuple[DeviceProcess, Iterator[DecryptorId]]],
        connection: Any,
    ) -> None:
        seat = next(waiting[connection][1], None)
        if seat is None:
            del waiting[connection]
            return
        with self._coordinator.acting():
            asked = request(seat)
        connection.send((what, seat, asked))

    def _account(self, process: DeviceProcess) -> Account:
        process.connection.send((FINISH,))
        account: Account = process.receive()
        return account

    def _processor_seconds(self, accounts: Sequence[Account], used: float) -> dict[str, dict[str, float]]:
        """Return processor seconds by party and part; `used` are those of this process."""
        coordinator, registry = (
            with_total(party.spans.take()) for party in (self._coordinator, self._registry)
        )
        other = max(0.0, used - coordinator["total"] - registry["total"])
        devices = {
            name: _sums([account.seconds[name] for account in accounts]) for name in accounts[0].seconds
        }
        parties = {**devices, "coordinator": coordinator, "registry": registry}
        return {**parties, "volunteers' offers and pipes": {"total": other}}


def _sums(parts: Sequence[dict[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for each in parts for name in each)
    return {name: sum(each.get(name, 0.0) for each in parts) for name in names}
