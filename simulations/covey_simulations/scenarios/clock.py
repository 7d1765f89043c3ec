"""The simulation's clock: real seconds pass, but from another day on.

All processes of a simulation share it: how far it is off the machine's clock stands in a file.
"""

from __future__ import annotations

import mmap
import struct
import time
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

DAY = 86_400
"""Seconds."""

_SHIFT = struct.Struct("<d")
_FILE = "clock"


class Clock:
    """The clock of a simulation's folder, which `forward` moves for every process that reads it."""

    def __init__(self, folder: Path) -> None:
        with (folder / _FILE).open("r+b") as file:
            self._file = mmap.mmap(file.fileno(), _SHIFT.size)

    @classmethod
    def starting(cls, folder: Path, moment: datetime) -> Clock:
        """Make the clock of a folder, which reads `moment` now."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _FILE).write_bytes(_SHIFT.pack(moment.timestamp() - time.time()))
        return cls(folder)

    def forward(self, seconds: float) -> None:
        """Let time go by."""
        (shift,) = _SHIFT.unpack(self._file[:])
        self._file[:] = _SHIFT.pack(shift + seconds)

    def wait_until(self, at: int) -> None:
        """Let time go by until it is past `at`."""
        left = at + 1 - self.seconds()
        if left > 0:
            self.forward(left)

    def seconds(self) -> float:
        """Return Unix seconds."""
        (shift,) = _SHIFT.unpack(self._file[:])
        return float(time.time() + shift)

    def moment(self, zone: ZoneInfo) -> datetime:
        """Return the time in a zone."""
        return datetime.fromtimestamp(self.seconds(), zone)
