"""Files that their owner alone can read: the database, its write-ahead log, what commands write.

A file is made with mode 0600 whatever the umask is. A database file that is there with wider rights is
narrowed, with a warning: whoever could read it until then may have done so.
"""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

from covey_consent.errors import DamageError

MODE = 0o600
OTHERS = stat.S_IRWXG | stat.S_IRWXO


def create(path: Path) -> None:
    """Make an empty file where it is missing, else narrow the one that is there. Raises DamageError."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE))
    except FileExistsError:
        narrow(path)


def narrow(path: Path) -> None:
    """Take the rights of all but its owner from a file, where it is there. Raises DamageError.

    The file is not opened: to close it would end the locks that SQLite holds on it in this process.
    """
    try:
        if not path.stat().st_mode & OTHERS:
            return
        path.chmod(MODE)
    except FileNotFoundError:
        return
    except OSError as error:
        raise DamageError(
            f"others can read {path}, and that cannot be changed ({error.strerror or error}); its owner runs "
            "chmod 600"
        ) from None
    logging.getLogger(__name__).warning("%s could be read by others until now; its mode is 600 now", path)


def write(path: Path, data: bytes) -> None:
    """Write a new file, or another content into one that is there, as its owner's alone."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, MODE), "wb") as file:
        os.fchmod(file.fileno(), MODE)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
