"""The simulation's clock: real seconds pass, but from another day on."""

from __future__ import annotations

import time
from datetime import datetime
from zoneinfo import ZoneInfo

DAY = 86_400
"""Seconds."""


class Clock:
    """A clock that runs `shift` seconds off the system's; `forward` lets days go by.

    Whoever shares the shift sees the same time, in whichever process.
    """

    def __init__(self, shift: float) -> None:
        self.shift = shift

    @classmethod
    def starting(cls, moment: datetime) -> Clock:
        """Return a clock that reads `moment` now."""
        return cls(moment.timestamp() - time.time())

    def forward(self, seconds: float) -> None:
        """Let time go by."""
        self.shift += seconds

    def seconds(self) -> float:
        """Return Unix seconds."""
        return time.time() + self.shift

    def moment(self, zone: ZoneInfo) -> datetime:
        """Return the time in a zone."""
        return datetime.fromtimestamp(self.seconds(), zone)
