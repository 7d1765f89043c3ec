"""Monitor of the system clock, on which deletions and expiries depend.

- While the registry runs, the clock is held against a monotonic clock that no setting of the time moves.
- At a start it is held against the last time that the database holds (`ClockState`): it may be neither
  earlier, nor later by more than `DOWNTIME_SECONDS`.
- Once it failed either test, nothing is deleted and nothing expires until an administrator confirms the time,
  in this process and after a restart.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from prometheus_client import Gauge
from sqlalchemy.orm import Mapped, Session, mapped_column

from covey_consent.errors import ConflictError, UnavailableError
from covey_consent.operations.supervision import Done, nothing
from covey_consent.storage.models import Base
from covey_consent.storage.store import Store
from covey_consent.storage.writer import after_commit

TOLERANCE_SECONDS = 300
"""By how much the system clock may be moved, in all, while the registry runs."""

DOWNTIME_SECONDS = 7 * 86400
"""For how long a registry may have been stopped without its clock having to be confirmed."""

CHECK_SECONDS = 1.0
KEEP_SECONDS = 60.0
"""How often the clock is checked, and how often the time is kept in the database."""

CONFIRM = "covey registry clock confirm"

ONLY = 1
"""The key of the one row."""

Clock = Callable[[], float]
"""Gives seconds."""

log = logging.getLogger("covey.registry")


class ClockState(Base):
    """The last time that was judged right, and why the clock is not trusted, if it is not.

    One row. `seen_at` is in Unix seconds; `reason` is "" while the clock is trusted.
    """

    __tablename__ = "clock_state"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seen_at: Mapped[int]
    reason: Mapped[str]


def boot_clock() -> float:
    """Return seconds of a monotonic clock that also runs while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class ClockMonitor:
    """Judges `clock`, which gives Unix seconds, by a monotonic clock; without one, by the database alone.

    Both the event loop and the writer's thread ask it.
    """

    def __init__(self, clock: Clock, monotonic: Clock | None) -> None:
        self._clock, self._monotonic = clock, monotonic
        self._reference = self._read()
        self._reason = ""
        self._wrong_at_start = False
        self._kept: tuple[float, str] | None = None

    @property
    def reason(self) -> str:
        """Why the clock is not trusted, "" while it is."""
        if not self._reason and self.is_off:
            self._stop(f"the clock jumped by {self.drift:+.0f} s while the registry ran")
        return self._reason

    @property
    def drift(self) -> float:
        """By how many seconds the clock now differs from what it should show."""
        wall, steady = self._reference
        if self._monotonic is not None:
            return self._clock() - wall - (self._monotonic() - steady)
        return self._clock() - wall if self._wrong_at_start else 0.0

    @property
    def is_off(self) -> bool:
        """Whether the clock is wrong at this moment; one that jumped and came back is not."""
        return abs(self.drift) > TOLERANCE_SECONDS

    def now(self) -> int:
        """Return Unix seconds, by which to delete. Raises UnavailableError where the clock is not trusted."""
        now = int(self._clock())
        self.require()
        return now

    def require(self) -> None:
        """Raise UnavailableError where the clock is not trusted."""
        if self.reason:
            raise UnavailableError(f"{self.reason}: nothing is deleted or expires until `{CONFIRM}`")

    def require_steady(self) -> None:
        """Raise UnavailableError where the clock is wrong at this moment."""
        if self.reason and self.is_off:
            raise UnavailableError(
                f"{self.reason}: set the clock right, or confirm it with `{CONFIRM}`, and try again"
            )

    def open(self, session: Session) -> None:
        """Judge the clock by the last time that the database holds; to be called at a start."""
        kept = session.get(ClockState, ONLY)
        if kept is None:
            return
        now, steady = self._reference
        gone = now - kept.seen_at
        if -TOLERANCE_SECONDS <= gone <= DOWNTIME_SECONDS:
            if kept.reason:
                self._stop(kept.reason)
            return
        self._reference, self._wrong_at_start = (float(kept.seen_at), steady), True
        side = "after" if gone > 0 else "before"
        self._stop(f"at the start the clock is {abs(gone):.0f} s {side} the last time in the database")

    async def run(self, store: Store, done: Done = nothing) -> None:
        """Check the clock and keep the time, until cancelled."""
        while True:
            await self.keep(store)
            done()
            await asyncio.sleep(CHECK_SECONDS)

    async def keep(self, store: Store) -> None:
        """Check the clock; keep the time where it is trusted, once a minute, and at once why it is not."""
        reason, steady = self.reason, time.monotonic()
        if self._kept is None or self._kept[1] != reason or steady >= self._kept[0] + KEEP_SECONDS:
            await store.write(self._keep)
            self._kept = steady, reason

    def confirm(self, session: Session, stated: int) -> None:
        """Trust the clock again, in the caller's write: `stated` (Unix seconds) is the time by another clock.

        Raises ConflictError where the two differ by more than `TOLERANCE_SECONDS`.
        """
        now, steady = self._read()
        if abs(now - stated) > TOLERANCE_SECONDS:
            raise ConflictError(
                f"the registry's clock differs from the time stated by {now - stated:+.0f} s: set the clock "
                "of its machine right, then confirm again"
            )
        session.merge(ClockState(id=ONLY, seen_at=int(now), reason=""))

        def trust() -> None:
            self._reference, self._wrong_at_start, self._reason = (now, steady), False, ""
            log.warning("the clock was confirmed: what time makes due is done again")

        after_commit(session, trust)

    def _keep(self, session: Session) -> None:
        """Write the time, unless it is wrong at this moment, and why the clock is not trusted."""
        kept = session.get(ClockState, ONLY)
        if kept is None:
            kept = ClockState(id=ONLY, seen_at=int(self._clock()))
            session.add(kept)
        kept.reason = self.reason
        if not self.is_off:
            kept.seen_at = int(self._clock())

    def _stop(self, reason: str) -> None:
        self._reason = reason
        log.error("%s: nothing is deleted or expires until `%s`", reason, CONFIRM)

    def _read(self) -> tuple[float, float]:
        """Return the clock's time and the monotonic clock's, 0 without one."""
        return self._clock(), self._monotonic() if self._monotonic else 0.0


def clock_metrics(monitor: ClockMonitor) -> tuple[Gauge, Gauge]:
    """Return metrics of whether deletions are stopped, and by how much the clock is off."""
    stopped = Gauge(
        "covey_registry_clock_stopped", "1 while nothing expires because the clock jumped", registry=None
    )
    stopped.set_function(lambda: float(bool(monitor.reason)))
    drift = Gauge(
        "covey_registry_clock_drift_seconds", "The system clock against the monotonic clock", registry=None
    )
    drift.set_function(lambda: monitor.drift)
    return stopped, drift
