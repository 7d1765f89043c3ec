"""The steps of a running round, each kept before the next one begins."""

from __future__ import annotations

import sqlite3
from typing import Protocol

COMMITTEE, INCLUDED, CHECKED, FINAL = "committee", "included", "checked", "final"
CHARGED = "charged"
"""Names of steps: the committee file, the included set's head, what decryptors said of it, the final head,
and that the budget is about to be charged.
"""


class Steps(Protocol):
    """What a coordinator keeps of a running round; durable when `put` returns."""

    def get(self, name: str) -> bytes | None:
        """Return a step's outcome, None where it was not taken."""

    def put(self, name: str, outcome: bytes) -> None:
        """Keep a step's outcome."""


class StoredSteps:
    """The steps of one round in the coordinator's store."""

    def __init__(self, db: sqlite3.Connection, round_id: str) -> None:
        self._db, self._round_id = db, round_id

    def get(self, name: str) -> bytes | None:
        """Return a step's outcome, None where it was not taken."""
        query = "SELECT outcome FROM steps WHERE round_id = ? AND name = ?"
        row = self._db.execute(query, (self._round_id, name)).fetchone()
        return bytes(row[0]) if row else None

    def put(self, name: str, outcome: bytes) -> None:
        """Keep a step's outcome."""
        self._db.execute("INSERT INTO steps VALUES (?, ?, ?)", (self._round_id, name, outcome))
