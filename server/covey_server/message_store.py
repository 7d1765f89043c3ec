"""Contributions on a node's disk, by round key: acknowledged only once they are there."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, MutableMapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any


class MessageStore(MutableMapping[bytes, bytes]):
    """A mapping in an SQLite file; what was set is durable when `__setitem__` returns.

    Each call opens a connection of its own, so that threads and processes of a node may share a file. Without
    `durable` nothing waits for the disk: for simulations, which end with the machine.
    """

    def __init__(self, path: Path, *, durable: bool = True) -> None:
        self._path, self._durable = path, durable
        with self._connection() as connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS messages (round_key BLOB PRIMARY KEY, message BLOB NOT NULL)"
            )

    def __getitem__(self, round_key: bytes) -> bytes:
        rows = self._rows("SELECT message FROM messages WHERE round_key = ?", round_key)
        if not rows:
            raise KeyError(round_key)
        message: bytes = rows[0][0]
        return message

    def __setitem__(self, round_key: bytes, message: bytes) -> None:
        self._rows("INSERT OR REPLACE INTO messages VALUES (?, ?)", round_key, message)

    def __delitem__(self, round_key: bytes) -> None:
        if round_key not in self:
            raise KeyError(round_key)
        self._rows("DELETE FROM messages WHERE round_key = ?", round_key)

    def __iter__(self) -> Iterator[bytes]:
        return iter([row[0] for row in self._rows("SELECT round_key FROM messages ORDER BY round_key")])

    def __len__(self) -> int:
        count: int = self._rows("SELECT count(*) FROM messages")[0][0]
        return count

    def delete(self) -> None:
        """Delete the file with all messages in it."""
        for suffix in ("", "-journal", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)

    def _rows(self, statement: str, *values: bytes) -> list[tuple[Any, ...]]:
        with self._connection() as connection:
            return connection.execute(statement, values).fetchall()

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=30)) as connection:
            connection.execute("PRAGMA synchronous = FULL" if self._durable else "PRAGMA synchronous = OFF")
            with connection:
                yield connection
