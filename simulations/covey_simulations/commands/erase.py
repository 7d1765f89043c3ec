"""`covey registry drill erase`: what is left of a person in the database's own bytes after their erasure."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from covey_consent.errors import DamageError, RequestError
from covey_simulations.drills import empty_database
from covey_simulations.drills import erase as drill

MOST_PEOPLE = 10_000


def erase(people: int = 50, database_url: str | None = None, *, as_json: bool = False) -> int:
    """Play the drill and print what happened; return 0 where nothing of the person was left, 1 where it was.

    `database_url` is an empty PostgreSQL database, emptied again where the drill passed; without it SQLite is
    used.
    """
    try:
        _require_playable(people, database_url)
        with tempfile.TemporaryDirectory(prefix="covey-erase-") as folder:
            outcome = asyncio.run(drill.run_erase_drill(Path(folder), people, database_url))
        if database_url is not None and outcome.passed:
            empty_database.empty_database(database_url)
    except (DamageError, RequestError, FileNotFoundError) as error:
        print(f"the drill needs an empty database and its tools: {error}", file=sys.stderr)
        return 2
    print(json.dumps(asdict(outcome) | {"passed": outcome.passed}) if as_json else _describe(outcome))
    return 0 if outcome.passed else 1


def _require_playable(people: int, database_url: str | None) -> None:
    if not 2 <= people <= MOST_PEOPLE:
        raise RequestError(f"{people} people were asked for; 2 to {MOST_PEOPLE} can play")
    if database_url is None:
        return
    if not database_url.startswith("postgresql"):
        raise DamageError("--db takes postgresql://...; without it the drill makes its own SQLite file")
    empty_database.require_empty(database_url)


def _describe(outcome: drill.Outcome) -> str:
    """Return in plain words what happened."""
    rows = ", ".join(f"{count} in {table}" for table, count in sorted(outcome.rows.items()) if count)
    alike = "decides as before" if outcome.others_decide_alike else "DECIDES DIFFERENTLY"
    verifies = "opens and is the one that was signed" if outcome.log_verifies else "DOES NOT VERIFY"
    return "\n".join(
        (
            f"{outcome.people} people made {outcome.events} decisions. One was erased: a guardian, who was",
            "  shown notices, took tickets, asked for their rights, and was looked at by officers.",
            f"Deleted: {rows}.",
            f"Searched in {outcome.searched}: {outcome.traces} traces of them (pseudonym, device key, event",
            "  ids, digests, salts, signed bytes, requests, letters, their words; raw, in hex and as text).",
            f"  Before: {outcome.before} hits. After: {outcome.after} hits.",
            f"Everyone else {alike}. The log {verifies}.",
            "Not searched: backups, replicas, a PostgreSQL server's own files, the person's phone.",
            "Nothing of the erased person was left." if outcome.passed else "THE DRILL FAILED.",
        )
    )
