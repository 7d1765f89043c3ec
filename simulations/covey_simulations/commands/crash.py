"""`covey registry drill crash`: kill a registry under load, again and again, and say what was lost."""

from __future__ import annotations

import json
import secrets
import tempfile
import time
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from covey_consent.errors import RequestError
from covey_simulations.drills import empty_database
from covey_simulations.drills.crash import PHONES, Crash, Drill

EARLIEST_SECONDS, LATEST_SECONDS = 0.3, 1.5
"""When a registry is killed, counted from the first answer."""

COLUMNS = ("crash", "after s", "acknowledged", "unanswered", "lost", "half-written", "log", "back after s")


def crash(url: str | None, rounds: int, *, as_json: bool = False) -> int:
    """Crash a registry so many times on the empty database at the URL, or on a file that goes.

    Returns 0 where nothing was lost; the database is emptied then, and left as it is where something was.
    Raises ConsentRegistryError.
    """
    if not 1 <= rounds <= 1000:
        raise RequestError(f"{rounds} rounds are asked for; 1 to 1000 can be played")
    with tempfile.TemporaryDirectory() as folder:
        where = f"sqlite:///{folder}/registry.db" if url is None else url
        empty_database.require_empty(where)
        random = secrets.SystemRandom()
        with closing(Drill(where, Path(folder), time.time, secrets.token_bytes)) as drill:
            crashes = [drill.crash(random.uniform(EARLIEST_SECONDS, LATEST_SECONDS)) for _ in range(rounds)]
        lost = any(each.lost or each.halves for each in crashes)
        if not lost:
            empty_database.empty_database(where)
    kind = where.partition(":")[0]
    if as_json:
        played = [asdict(each) for each in crashes]
        print(json.dumps({"database": kind, "phones": PHONES, "crashes": played}, indent=2))
    else:
        _show(kind, crashes)
    return 1 if lost else 0


def _show(kind: str, crashes: list[Crash]) -> None:
    print(f"{PHONES} phones decided while the registry, on {kind}, was killed {len(crashes)} times.\n")
    print("  ".join(COLUMNS))
    for number, each in enumerate(crashes, 1):
        cells = (
            number, f"{each.seconds:.2f}", each.acknowledged, each.unanswered, each.lost, each.halves,
            each.log, f"{each.restart_seconds:.2f}",
        )  # fmt: skip
        print("  ".join(f"{cell:>{len(name)}}" for cell, name in zip(cells, COLUMNS, strict=True)))
    lost, halves = sum(each.lost for each in crashes), sum(each.halves for each in crashes)
    if lost or halves:
        print(f"\nLOST: {lost} acknowledged decisions; {halves} by half.")
        return
    kept = sum(each.acknowledged for each in crashes)
    print(
        f"\nAll {kept} acknowledged decisions are there, none by half; the log opened and went on each time."
    )
