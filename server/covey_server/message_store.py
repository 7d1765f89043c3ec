"""Contributions on a node's disk, by round key: acknowledged only once they are there."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any


class MessageStore(MutableMapping[bytes, bytes]):
    """A mapping in an SQLite file; what was set is durable when `__setitem__` returns.

    Each call opens a connection of its own, so that threads and processes of a node may share a file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
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

    def _connection(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=30)
        connection.execute("PRAGMA synchronous = FULL")
        return connection
