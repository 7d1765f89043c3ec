"""Supervision of the registry's background loops: deliveries, publishing, upkeep and the others.

- A loop runs until the registry closes. Where it raises or returns, it is started again after a wait that
  doubles with each failure in a row, from `FIRST_SECONDS` to `MOST_SECONDS`.
- A loop reports each turn that succeeded. That ends its row of failures.
- The state of each loop can be read at any time, for /readyz and /metrics.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from covey_consent.errors import UnavailableError

FIRST_SECONDS = 0.5
MOST_SECONDS = 30.0
"""How long a loop that failed waits at first, and at most, before it is started again."""

STALLED_SECONDS = 300.0
"""How long a needed loop may be without a turn that succeeded before the registry is not ready."""

Done = Callable[[], None]
"""Called by a loop after each turn that succeeded."""

log = logging.getLogger("covey.registry")


def backoff(failures: int, first: float = FIRST_SECONDS, most: float = MOST_SECONDS) -> float:
    """Return the seconds to wait after so many failures in a row."""
    return min(first * 2.0 ** min(failures - 1, 32), most)


def nothing() -> None:
    """Report to nobody: for a loop that runs without a supervisor."""


@dataclass(frozen=True, slots=True)
class Loop:
    """A background loop: `run` works until it is cancelled. Without a `needed` one the registry is not ready.

    A needed loop has a turn at least every minute while all is well.
    """

    name: str
    run: Callable[[Done], Awaitable[None]]
    needed: bool = False


@dataclass(frozen=True, slots=True)
class LoopState:
    """How a loop does: failures in all, the last error's type while it fails, seconds since its last turn."""

    state: Literal["running", "failing"]
    failures: int
    error: str
    idle_seconds: float


@dataclass(slots=True)
class _Record:
    worked_at: float
    failures: int = 0
    in_a_row: int = 0
    error: str = ""


class Supervisor:
    """Runs the loops and knows how each does. `first` is the first wait, `clock` gives monotonic seconds."""

    def __init__(
        self,
        loops: Sequence[Loop],
        first: float = FIRST_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._loops, self._first, self._clock = tuple(loops), first, clock
        self._records = {loop.name: _Record(clock()) for loop in loops}

    async def run(self) -> None:
        """Keep every loop running until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for loop in self._loops:
                tasks.create_task(self._keep(loop), name=loop.name)

    def states(self) -> Mapping[str, LoopState]:
        """Return how each loop does, by its name."""
        return {name: self._state(record) for name, record in self._records.items()}

    def stalled(self) -> Sequence[str]:
        """Return the needed loops that have not done their work for `STALLED_SECONDS`."""
        states = self.states()
        needed = [loop.name for loop in self._loops if loop.needed]
        return [name for name in needed if states[name].idle_seconds > STALLED_SECONDS]

    async def _keep(self, loop: Loop) -> None:
        record = self._records[loop.name]
        while True:
            try:
                await loop.run(partial(self._done, record))
                self._failed(loop.name, record, None)
            except asyncio.CancelledError as error:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                # Nobody cancelled the loop, but something that it waited for: that is a failure of its work.
                self._failed(loop.name, record, error)
            except Exception as error:  # noqa: BLE001  whatever ends a loop, it is started again
                self._failed(loop.name, record, error)
            await asyncio.sleep(backoff(record.in_a_row, self._first))

    def _done(self, record: _Record) -> None:
        record.worked_at, record.in_a_row, record.error = self._clock(), 0, ""

    def _failed(self, name: str, record: _Record, error: BaseException | None) -> None:
        record.failures += 1
        record.in_a_row += 1
        record.error = "returned" if error is None else type(error).__name__
        wait = backoff(record.in_a_row, self._first)
        # A database that does not answer is foreseen. Of anything else the place is written as well.
        place = None if error is None or isinstance(error, UnavailableError) else error
        log.warning(
            "the background loop %s failed (%s); it is started again in %.1f s", name, record.error, wait,
            exc_info=place,
        )  # fmt: skip

    def _state(self, record: _Record) -> LoopState:
        idle = max(0.0, self._clock() - record.worked_at)
        return LoopState("failing" if record.in_a_row else "running", record.failures, record.error, idle)


class LoopMetrics(Collector):
    """The loops' metrics for Prometheus."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    def collect(self) -> Iterator[Metric]:
        """Yield whether each loop works, how often it failed, and when it last succeeded."""
        up = GaugeMetricFamily(
            "covey_registry_loop_up", "1 unless the loop's last turn failed", labels=["loop"]
        )
        failures = CounterMetricFamily(
            "covey_registry_loop_failures", "How often the loop failed and was started again", labels=["loop"]
        )
        idle = GaugeMetricFamily(
            "covey_registry_loop_idle_seconds", "Seconds since the loop's last turn that succeeded",
            labels=["loop"],
        )  # fmt: skip
        for name, state in self._supervisor.states().items():
            up.add_metric([name], float(state.state == "running"))
            failures.add_metric([name], state.failures)
            idle.add_metric([name], state.idle_seconds)
        yield from (up, failures, idle)
