"""Which start of the phone this is: a restored backup must not go on with a round of another start."""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path

_LINUX = Path("/proc/sys/kernel/random/boot_id")


@cache
def current_boot_id() -> bytes:
    """Return 32 bytes that stay until the phone restarts; where no system tells, until the app does."""
    try:
        return hashlib.sha256(_LINUX.read_bytes()).digest()
    except OSError:
        return os.urandom(32)
