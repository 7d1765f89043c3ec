"""The witness's files: the note that it cosigned last of each log, and evidence of a split view."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from covey_consent.errors import DamageError, UnavailableError
from covey_consent.storage import private_files
from covey_consent.storage.file_lock import FileLock
from covey_privacy.checkpoint import open_note
from covey_privacy.errors import ServerError


class WitnessStore:
    """A file for each log, in a folder that one process uses. `logs` has their public keys by origin."""

    def __init__(self, folder: Path, logs: Mapping[str, bytes]) -> None:
        self._folder = folder
        self._lock = FileLock(folder / "lock")
        try:
            self._lock.take()
        except UnavailableError:
            raise DamageError(f"another witness uses {folder}; give each a folder of its own") from None
        with ExitStack() as on_failure:
            on_failure.callback(self.close)
            for origin, key in logs.items():
                self._check(origin, key)
            on_failure.pop_all()

    def close(self) -> None:
        """Let another process use the folder."""
        self._lock.release()

    def note(self, origin: str) -> str:
        """Return the note of a log that was cosigned last, "" where there is none."""
        path = self._file(origin, "note")
        return path.read_text("utf-8") if path.exists() else ""

    def keep(self, origin: str, note: str) -> None:
        """Put a note in the place of the last one; it is on disk when this returns."""
        replace(self._file(origin, "note"), note.encode())

    def keep_evidence(self, origin: str, evidence: bytes) -> None:
        """Keep evidence that a log showed two views, once."""
        path = self._file(origin, "fork")
        if not path.exists():
            replace(path, evidence)

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
    """Replace the file's content atomically and durably. Its owner alone can read it."""
    draft = path.with_name(path.name + ".new")
    private_files.write(draft, data)
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
