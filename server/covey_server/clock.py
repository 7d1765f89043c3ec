"""The coordinator's clock: windows of rounds are planned by it and waited for."""

from __future__ import annotations

import time
from typing import Protocol

LONGEST_SLEEP = 5.0


class Clock(Protocol):
    """Tells the time that the registry has too, in POSIX seconds."""

    def seconds(self) -> float:
        """Return the time."""

    def wait_until(self, at: int) -> None:
        """Return once the time is past `at`."""


class SystemClock:
    """The machine's clock."""

    def seconds(self) -> float:
        """Return the time."""
        return time.time()

    def wait_until(self, at: int) -> None:
        """Sleep until the time is past `at`."""
        while (left := at + 1 - time.time()) > 0:
            time.sleep(min(left, LONGEST_SLEEP))
