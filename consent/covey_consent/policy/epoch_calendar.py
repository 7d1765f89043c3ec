"""The epoch calendar: the spans of time in which tickets are valid, counted from the Unix epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from covey_consent.errors import ConflictError

QUEUE_SECONDS = 7 * 86400
"""How long a phone may keep a message until it has a network."""

FETCH_SHARE = 8
"""Phones fetch their tickets in the first eighth of an epoch; rounds begin when that is over."""

LAST_EPOCH = 2**63 - 1
"""The last epoch that the database can number."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """The registry's clock (Unix seconds), its epochs' length, and by how much other clocks may differ.

    `require_steady` raises where the clock is wrong at this moment (see `ClockMonitor`).
    """

    clock: Callable[[], float]
    epoch_seconds: int
    tolerance_seconds: int
    require_steady: Callable[[], None] = lambda: None

    @property
    def now(self) -> int:
        """Unix seconds."""
        return int(self.clock())

    @property
    def milliseconds(self) -> int:
        """Unix milliseconds."""
        return int(self.clock() * 1000)

    @property
    def year(self) -> int:
        """The current year."""
        return datetime.fromtimestamp(self.now, UTC).year

    @property
    def epoch(self) -> int:
        """The current epoch's number."""
        return self.now // self.epoch_seconds

    @property
    def ends_at(self) -> int:
        """When the current epoch ends, in Unix seconds."""
        return self.end_of(self.epoch)

    def end_of(self, epoch: int) -> int:
        """Return when `epoch` ends, in Unix seconds."""
        return (epoch + 1) * self.epoch_seconds

    @property
    def begins_at(self) -> int:
        """When the current epoch began, in Unix seconds."""
        return self.epoch * self.epoch_seconds

    @property
    def fetch_until(self) -> int:
        """When the current epoch's fetch window closes, in Unix seconds."""
        return self.begins_at + max(1, self.epoch_seconds // FETCH_SHARE)

    @property
    def fetching(self) -> bool:
        """Whether the fetch window is open."""
        return self.now < self.fetch_until

    def require_fetched(self, epoch: int) -> None:
        """Raise ConflictError while phones still fetch the tickets of `epoch`."""
        if epoch == self.epoch and self.fetching:
            raise ConflictError(
                f"phones fetch their tickets of epoch {epoch} for {self.fetch_until - self.now} seconds "
                "more; rounds begin when that window has closed"
            )

    def require_current(self, epoch: int) -> None:
        """Raise ConflictError unless `epoch` is the current one, UnavailableError where the clock is off."""
        # A new epoch's key destroys those of past epochs: not by a clock that is wrong.
        self.require_steady()
        if epoch != self.epoch:
            raise ConflictError(f"the epoch is {self.epoch}; epoch {epoch} is not asked for any more or yet")

    @property
    def tolerance(self) -> int:
        """By how many milliseconds other clocks may differ."""
        return 1000 * self.tolerance_seconds

    @property
    def latest(self) -> int:
        """The latest time, in milliseconds, that another clock may show."""
        return self.milliseconds + self.tolerance

    def agrees(self, at: int) -> bool:
        """Say whether `at` (milliseconds) is now, as far as clocks agree."""
        return abs(at - self.milliseconds) <= self.tolerance

    def accepts(self, at: int) -> bool:
        """Say whether `at` (milliseconds) is now, or up to a queue's time ago."""
        return self.milliseconds - 1000 * QUEUE_SECONDS <= at <= self.latest

    def says(self, at: int) -> str:
        """Return `at` (milliseconds) against the registry's clock, for an error's text."""
        return f"{(at - self.milliseconds) / 1000:+.0f} s from now"
