"""Epochs: the spans of time that tickets live in, counted from the Unix epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Calendar:
    """The registry's clock (Unix seconds), its epochs' length, and by how much other clocks may differ."""

    clock: Callable[[], float]
    epoch_seconds: int
    tolerance_seconds: int

    @property
    def now(self) -> int:
        """Unix seconds."""
        return int(self.clock())

    @property
    def milliseconds(self) -> int:
        """Unix milliseconds."""
        return int(self.clock() * 1000)

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

    def agrees(self, at: int) -> bool:
        """Say whether `at` (milliseconds) is now, as far as clocks agree."""
        return abs(at - self.milliseconds) <= 1000 * self.tolerance_seconds
