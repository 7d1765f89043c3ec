"""What a witness keeps: the note that it cosigned last of each log, and evidence that convicts one."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from covey_consent.errors import DamageError
from covey_consent.storage import private_files
from covey_privacy.checkpoint import open_note
from covey_privacy.errors import ServerError


class LastSeen:
    """A file for each log, in a folder that one process uses. `logs` has their public keys by origin."""

    def __init__(self, folder: Path, logs: Mapping[str, bytes]) -> None:
        self._folder = folder
        self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._open(logs)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let another process use the folder."""
        os.close(self._lock)

    def note(self, origin: str) -> str:
        """Return the note of a log that was cosigned last, "" where there is none."""
        path = self._file(origin, "note")
        return path.read_text("utf-8") if path.exists() else ""

    def keep(self, origin: str, note: str) -> None:
        """Put a note in the place of the last one; it is on disk when this returns."""
        replace(self._file(origin, "note"), note.encode())

    def accuse(self, origin: str, evidence: bytes) -> None:
        """Keep what convicts a log. The first suffices."""
        path = self._file(origin, "fork")
        if not path.exists():
            replace(path, evidence)

    def _open(self, logs: Mapping[str, bytes]) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DamageError(f"another witness uses {self._folder}; give each a folder of its own") from None
        for origin, key in logs.items():
            self._check(origin, key)

    def _check(self, origin: str, key: bytes) -> None:
        note = self.note(origin)
        try:
            whole = not note or open_note(note, key).origin == origin
        except ServerError:
            whole = False
        if not whole:
            raise DamageError(
                f"{self._file(origin, 'note')} is not a note of {origin!r} under the key that is given; "
                "check the key, or restore the file"
            )

    def _file(self, origin: str, kind: str) -> Path:
        return self._folder / f"{hashlib.sha256(origin.encode()).hexdigest()}.{kind}"


def replace(path: Path, data: bytes) -> None:
    """Let the file hold `data`: all of it, or what was there before, whenever the machine stops.

    Its owner alone can read it.
    """
    draft = path.with_name(path.name + ".new")
    private_files.write(draft, data)
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
