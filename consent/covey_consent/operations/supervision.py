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
from dataclasses import dataclass, replace
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


@dataclass(slots=True)
class LoopState:
    """How a loop does: failures in all and in a row, the last error's type while it fails, its last turn.

    `worked_at` and `idle_seconds` are by the supervisor's clock.
    """

    worked_at: float
    failures: int = 0
    in_a_row: int = 0
    error: str = ""
    idle_seconds: float = 0.0

    @property
    def state(self) -> Literal["running", "failing"]:
        """Whether the loop's last turn succeeded."""
        return "failing" if self.in_a_row else "running"


class Supervisor:
    """Runs the loops and knows how each does. `first` is the first wait, `clock` gives monotonic seconds."""

    def __init__(
        self, loops: Sequence[Loop], first: float = FIRST_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._loops, self._first, self._clock = tuple(loops), first, clock
        self._states = {loop.name: LoopState(clock()) for loop in loops}

    async def run(self) -> None:
        """Keep every loop running until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for loop in self._loops:
                tasks.create_task(self._keep(loop), name=loop.name)

    def states(self) -> Mapping[str, LoopState]:
        """Return how each loop does now, by its name."""
        now = self._clock()
        return {
            name: replace(state, idle_seconds=max(0.0, now - state.worked_at))
            for name, state in self._states.items()
        }

    def stalled(self) -> Sequence[str]:
        """Return the needed loops that have not done their work for `STALLED_SECONDS`."""
        states = self.states()
        needed = [loop.name for loop in self._loops if loop.needed]
        return [name for name in needed if states[name].idle_seconds > STALLED_SECONDS]

    async def _keep(self, loop: Loop) -> None:
        state = self._states[loop.name]

        def done() -> None:
            state.worked_at, state.in_a_row, state.error = self._clock(), 0, ""

        while True:
            failure: BaseException | None = None
            try:
                await loop.run(done)
            except asyncio.CancelledError as error:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                # Nobody cancelled the loop, but something that it waited for: that is a failure of its work.
                failure = error
            except Exception as error:  # noqa: BLE001  whatever ends a loop, it is started again
                failure = error
            state.failures += 1
            state.in_a_row += 1
            state.error = "returned" if failure is None else type(failure).__name__
            wait = backoff(state.in_a_row, self._first)
            # A database that does not answer is foreseen. Of anything else the place is written as well.
            place = None if isinstance(failure, UnavailableError) else failure
            message = "the background loop %s failed (%s); it is started again in %.1f s"
            log.warning(message, loop.name, state.error, wait, exc_info=place)
            await asyncio.sleep(wait)


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
