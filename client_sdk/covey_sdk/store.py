"""The encrypted store: SQLite whose rows are sealed with AES-256-GCM under a key that the app holds.

In clear stand sequence numbers, names of settings, phases, and HMAC tags; nothing else. Every row's seal
binds its table and its key, so that a row which was altered or moved does not open. The app keeps the
32-byte key in the platform's keystore; without it the file is noise.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from covey_sdk import event_checks
from covey_sdk.errors import StoreError
from covey_sdk.store_file import KEY_LENGTH, StoreFile, subkey

TAG_LENGTH = 16

_NONCE_LENGTH = 12
_EDITION = "event-edition"


class Store(StoreFile):
    """A store file and the sealed rows in it. `random` gives nonces.

    Raises StoreError when `key` or `path` is none, and as `StoreFile` does.
    """

    def __init__(self, path: str | Path, key: bytes, random: Callable[[int], bytes] = os.urandom) -> None:
        checked = _checked_path(path)
        _check_key(key)
        super().__init__(checked, key)
        self._random = random
        self._aead = AESGCM(subkey(key, "seal"))
        self._tag_key = subkey(key, "tag")
        self._rewritten_in = 0
        """The number of the transaction that began another edition of the events last."""

    def tag(self, *parts: str | int) -> bytes:
        """Return the keyed name under which something is found again without being readable."""
        text = "\0".join(map(str, parts))
        return hmac.digest(self._tag_key, text.encode(), "sha256")[:TAG_LENGTH]

    def get(self, name: str) -> bytes | None:
        """Return the value called `name`, None where there is none."""
        rows = self._rows("SELECT sealed FROM items WHERE name = ?", (name,))
        return self._unseal(rows[0][0], "items", name) if rows else None

    def put(self, name: str, value: bytes) -> None:
        """Set the value called `name`."""
        self._rows("INSERT OR REPLACE INTO items VALUES (?, ?)", (name, self._seal(value, "items", name)))

    def delete(self, name: str) -> None:
        """Delete the value called `name`, if it is there."""
        self._rows("DELETE FROM items WHERE name = ?", (name,))

    def names(self, prefix: str) -> list[str]:
        """Return the names that begin with `prefix`."""
        rows = self._rows("SELECT name FROM items WHERE substr(name, 1, ?) = ?", (len(prefix), prefix))
        return [row[0] for row in rows]

    def append_event(self, id_tag: bytes, sum_tag: bytes, value: bytes) -> int:
        """Add an event at the end and return its number; `find_event(id_tag)` finds it again."""
        with self.transaction():
            seq = self._next("events")
            sealed = self._seal(value, "events", seq, id_tag, sum_tag)
            self._rows("INSERT INTO events VALUES (?, ?, ?, ?)", (seq, id_tag, sum_tag, sealed))
        return seq

    def replace_event(self, seq: int, value: bytes) -> None:
        """Put `value` in the place of event number `seq`."""
        rows = self._rows("SELECT id_tag, sum_tag FROM events WHERE seq = ?", (seq,))
        if not rows:
            raise StoreError(f"there is no event {seq} to replace")
        self._rewrite_events()
        sealed = self._seal(value, "events", seq, *rows[0])
        self._rows("UPDATE events SET sealed = ? WHERE seq = ?", (sealed, seq))

    def find_event(self, id_tag: bytes) -> tuple[bytes, bytes] | None:
        """Return (sum_tag, value) of the event with that tag, None where there is none."""
        rows = self._rows("SELECT seq, id_tag, sum_tag, sealed FROM events WHERE id_tag = ?", (id_tag,))
        return (rows[0][2], self._event(rows[0])[1]) if rows else None

    def events(self) -> list[tuple[int, bytes]]:
        """Return (number, value) of every event, oldest entry first."""
        return self.events_after(0)

    def events_after(self, seq: int) -> list[tuple[int, bytes]]:
        """Return (number, value) of every event with a greater number, oldest entry first."""
        rows = self._rows(
            "SELECT seq, id_tag, sum_tag, sealed FROM events WHERE seq > ? ORDER BY seq", (seq,)
        )
        return [self._event(row) for row in rows]

    def event_edition(self) -> tuple[int, bytes | None]:
        """Return what changes when what was read of events may no longer hold.

        It does when events were replaced or deleted, by whatever process, and when a transaction was undone.
        Events that were added leave it as it is.
        """
        return self._undone, self.get(_EDITION)

    def count_events(self) -> int:
        """Return how many events there are."""
        return int(self._rows("SELECT count(*) FROM events")[0][0])

    def delete_events(self, seqs: Iterable[int]) -> None:
        """Delete the events with these numbers."""
        for seq in seqs:
            self._rewrite_events()
            self._rows("DELETE FROM events WHERE seq = ?", (seq,))

    def _rewrite_events(self) -> None:
        """Begin another edition of the events, once in a transaction."""
        with self.transaction():
            if self._rewritten_in != self._begun_blocks:
                self.put(_EDITION, self._random(_NONCE_LENGTH))
                self._rewritten_in = self._begun_blocks

    def append_ledger(self, value: bytes) -> int:
        """Add an entry to the ledger and return its number."""
        with self.transaction():
            seq = self._next("ledger")
            self._rows("INSERT INTO ledger VALUES (?, ?)", (seq, self._seal(value, "ledger", seq)))
        return seq

    def ledger(self) -> list[bytes]:
        """Return every entry of the ledger, oldest first."""
        rows = self._rows("SELECT seq, sealed FROM ledger ORDER BY seq")
        return [self._unseal(sealed, "ledger", seq) for seq, sealed in rows]

    def put_round(self, round_id: str, phase: str, value: bytes) -> None:
        """Set what a phase of a round needs to remember."""
        tag = self.tag("round", round_id)
        sealed = self._seal(value, "rounds", tag, phase)
        self._rows("INSERT OR REPLACE INTO rounds VALUES (?, ?, ?)", (tag, phase, sealed))

    def get_round(self, round_id: str, phase: str) -> bytes | None:
        """Return what a phase of a round remembered, None where there is nothing."""
        tag = self.tag("round", round_id)
        rows = self._rows("SELECT sealed FROM rounds WHERE round_tag = ? AND phase = ?", (tag, phase))
        return self._unseal(rows[0][0], "rounds", tag, phase) if rows else None

    def delete_round(self, round_id: str, phase: str | None = None) -> None:
        """Forget a round, or one phase of it."""
        tag = self.tag("round", round_id)
        if phase is None:
            self._rows("DELETE FROM rounds WHERE round_tag = ?", (tag,))
        else:
            self._rows("DELETE FROM rounds WHERE round_tag = ? AND phase = ?", (tag, phase))

    def _event(self, row: tuple[int, bytes, bytes, bytes]) -> tuple[int, bytes]:
        seq, id_tag, sum_tag, sealed = row
        return seq, self._unseal(sealed, "events", seq, id_tag, sum_tag)

    def _next(self, table: str) -> int:
        rows = self._rows(f"SELECT max(seq) FROM {table}")  # noqa: S608  # the name is one of ours
        return (rows[0][0] or 0) + 1

    def _seal(self, value: bytes, table: str, *key: str | int | bytes) -> bytes:
        nonce = self._random(_NONCE_LENGTH)
        return nonce + self._aead.encrypt(nonce, value, _place(table, *key))

    def _unseal(self, sealed: bytes, table: str, *key: str | int | bytes) -> bytes:
        try:
            return self._aead.decrypt(sealed[:_NONCE_LENGTH], sealed[_NONCE_LENGTH:], _place(table, *key))
        except (InvalidTag, ValueError, TypeError):
            raise self._damaged(f"a row of {table} does not open") from None


def _place(*where: str | int | bytes) -> bytes:
    """Return the associated data that ties a row to its table and key."""
    return b"\0".join(part if isinstance(part, bytes) else str(part).encode() for part in where)


def _checked_path(path: Any) -> Path:
    if not isinstance(path, str | Path):
        raise StoreError(f"a store's path is {event_checks.shown(path)}; text or a pathlib.Path was expected")
    if not Path(path).name:
        raise StoreError(f"a store's path is {str(path)!r}; the path of a file was expected")
    return Path(path)


def _check_key(key: Any) -> None:
    """Require the bytes of a key. The error never shows them."""
    if type(key) is not bytes:
        raise StoreError(f"a store's key has {KEY_LENGTH} bytes; a {type(key).__name__} was given")
    if len(key) != KEY_LENGTH:
        raise StoreError(f"a store's key has {KEY_LENGTH} bytes; {len(key)} were given")
