"""The coordinator's durable memory: the budget it has charged and the rounds it has opened.

A charge is written before any share that could open a sum is asked for, and is never taken back. A round
found open at start was cut short; it is burnt, never resumed.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict
from pathlib import Path
from typing import Any

from covey_privacy.dp import Caps, Charge, SkellamMechanism, require_room
from covey_server.errors import ConfigError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS rounds (id TEXT PRIMARY KEY, state TEXT NOT NULL, result TEXT);
CREATE TABLE IF NOT EXISTS charges
    (round_id TEXT PRIMARY KEY, purpose TEXT NOT NULL, mechanism TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS releases (query TEXT PRIMARY KEY, signed BLOB NOT NULL);
"""


class Store:
    """Budget and rounds in one SQLite file; every method is one durable transaction."""

    def __init__(self, path: Path) -> None:
        try:
            self._db = sqlite3.connect(path, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._db.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise ConfigError(f"{path} cannot be used as the coordinator's store: {error}") from None

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def burn_open_rounds(self) -> tuple[str, ...]:
        """Mark every round that was left open as burnt; return their ids."""
        burnt = tuple(row[0] for row in self._db.execute("SELECT id FROM rounds WHERE state = 'open'"))
        self._db.execute("UPDATE rounds SET state = 'burnt' WHERE state = 'open'")
        return burnt

    def open_round(self, round_id: str) -> None:
        """Write down that a round is about to begin."""
        self._db.execute("INSERT INTO rounds (id, state) VALUES (?, 'open')", (round_id,))

    def close_round(self, round_id: str, state: str, result: object) -> None:
        """Write down how a round ended."""
        self._db.execute(
            "UPDATE rounds SET state = ?, result = ? WHERE id = ?", (state, json.dumps(result), round_id)
        )

    def count(self, query: str) -> int:
        """Return how many rounds of a query were ever opened."""
        row = self._db.execute("SELECT count(*) FROM rounds WHERE id LIKE ? || '-%'", (query,)).fetchone()
        return int(row[0])

    def charges(self) -> tuple[Charge, ...]:
        """Return every charge."""
        rows = self._db.execute("SELECT round_id, purpose, mechanism FROM charges ORDER BY rowid")
        return tuple(Charge(i, purpose, SkellamMechanism(**json.loads(m))) for i, purpose, m in rows)

    def charge(self, charge: Charge, caps: Caps) -> None:
        """Charge the budget. Raises BudgetError, charging nothing, when that would pass a cap."""
        require_room(self.charges(), charge, caps)
        row = (charge.round_id, charge.purpose, json.dumps(asdict(charge.mechanism)))
        self._db.execute("INSERT INTO charges VALUES (?, ?, ?)", row)

    def release(self, query: str) -> bytes:
        """Return the latest signed release of a query, or nothing."""
        row = self._db.execute("SELECT signed FROM releases WHERE query = ?", (query,)).fetchone()
        return bytes(row[0]) if row else b""

    def put_release(self, query: str, signed: bytes) -> None:
        """Keep a signed release as the latest of its query."""
        self._db.execute("INSERT OR REPLACE INTO releases VALUES (?, ?)", (query, signed))

    def results(self) -> list[dict[str, Any]]:
        """Return the results of all finished rounds, oldest first."""
        rows = self._db.execute("SELECT result FROM rounds WHERE result IS NOT NULL ORDER BY rowid")
        return [json.loads(row[0]) for row in rows]
