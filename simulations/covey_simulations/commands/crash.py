"""`covey registry drill crash`: kill a registry under load, again and again, and say what was lost."""

from __future__ import annotations

import json
import secrets
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from covey_consent.errors import RequestError
from covey_simulations.registry_drills import scratch
from covey_simulations.registry_drills.crash import PHONES, Crash, Drill

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
        scratch.require_empty(where)
        crashes = _play(where, Path(folder), rounds)
        lost = sum(each.lost + each.halves for each in crashes)
        if not lost:
            scratch.empty(where)
    kind = where.partition(":")[0]
    print(json.dumps(_found(kind, crashes), indent=2) if as_json else _told(kind, crashes))
    return 1 if lost else 0


def _play(url: str, folder: Path, rounds: int) -> list[Crash]:
    random = secrets.SystemRandom()
    drill = Drill(url, folder, time.time, secrets.token_bytes)
    try:
        return [drill.crash(random.uniform(EARLIEST_SECONDS, LATEST_SECONDS)) for _ in range(rounds)]
    finally:
        drill.close()


def _found(kind: str, crashes: list[Crash]) -> dict[str, object]:
    return {"database": kind, "phones": PHONES, "crashes": [asdict(each) for each in crashes]}


def _told(kind: str, crashes: list[Crash]) -> str:
    said = f"{PHONES} phones decided while the registry, on {kind}, was killed {len(crashes)} times.\n"
    table = ["  ".join(COLUMNS), *(_row(number, each) for number, each in enumerate(crashes, 1))]
    return "\n".join([said, *table, "", _verdict(crashes)])


def _row(number: int, each: Crash) -> str:
    cells = (
        number, f"{each.seconds:.2f}", each.acknowledged, each.unanswered, each.lost, each.halves, each.log,
        f"{each.restart_seconds:.2f}",
    )  # fmt: skip
    return "  ".join(f"{cell:>{len(name)}}" for cell, name in zip(cells, COLUMNS, strict=True))


def _verdict(crashes: list[Crash]) -> str:
    lost, halves = sum(each.lost for each in crashes), sum(each.halves for each in crashes)
    if lost or halves:
        return f"LOST: {lost} acknowledged decisions; {halves} by half."
    told = sum(each.acknowledged for each in crashes)
    return f"All {told} acknowledged decisions are there, none by half; the log opened and went on each time."
