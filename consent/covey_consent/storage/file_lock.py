"""A lock between processes, which the kernel releases when the process ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from covey_consent.errors import UnavailableError


class FileLock:
    """A lock on an empty file, which stays behind."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def take(self) -> None:
        """Take the lock. Raises UnavailableError where another holds it."""
        file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            raise taken() from None
        self._file = file

    def release(self) -> None:
        """Release the lock. Idempotent."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def taken() -> UnavailableError:
    """Return the error for a lock that another process holds."""
    return UnavailableError(
        "another process writes to this database, and one alone may: stop that one, or ask it over HTTP"
    )
