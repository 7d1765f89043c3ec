"""The registry measured over HTTP: lookups, batches and durable writes, under load by wrk."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from covey_consent.access.roles import Caller, Role
from covey_consent.access.tokens import Tokens
from covey_consent.errors import ConsentRegistryError
from covey_consent.settings import Settings
from covey_consent.storage import key_file
from covey_simulations.benchmarks import log, wrk
from covey_simulations.benchmarks.population import PURPOSE, settle
from covey_simulations.benchmarks.process import serving
from covey_simulations.benchmarks.wrk import Request
from covey_simulations.errors import SetupError, SimulationError
from covey_simulations.progress import Progress

__all__ = ["RegistryOptions", "SetupError", "SimulationError", "measure", "show"]

CONNECTIONS, WRITERS = 32, 64
AT_HAND = 10_000
"""People asked for in turn where the registry has asked its table for them before."""
BATCH = 10_000
TOKEN_SECONDS = 86_400

WITHIN = ("p50_seconds", "p99_seconds", "longest_seconds")


@dataclass(frozen=True, slots=True)
class RegistryOptions:
    """What `covey bench registry` was asked for: people, database ("" for a fresh SQLite), seconds a load."""

    rows: int = 1_000_000
    db: str = ""
    seconds: int = 10
    seed: int = 1


@dataclass(frozen=True, slots=True)
class RegisteredPeople:
    """The registry's people, and how they are asked about. The draws protect nothing."""

    people: Sequence[str]
    draw: random.Random

    def lookups(self, count: int) -> list[Request]:
        """Return lookups of `count` people in turn."""
        chosen = self.draw.sample(self.people, min(count, len(self.people)))
        return [Request("GET", f"/v1/subjects/{person}/decisions/{PURPOSE}") for person in chosen]

    def batches(self) -> list[Request]:
        """Return requests for the verdicts on BATCH people each."""
        chosen = (self.draw.choices(self.people, k=BATCH) for _ in range(20))
        bodies = (json.dumps({"purpose": PURPOSE, "subjects": some}) for some in chosen)
        return [Request("POST", "/v1/decisions:batch", body) for body in bodies]

    def decisions(self, grant: Mapping[str, Any]) -> list[Request]:
        """Return decisions of people in turn."""
        chosen = self.draw.sample(self.people, min(AT_HAND, len(self.people)))
        return [Request("POST", f"/v1/subjects/{person}/consents", json.dumps(grant)) for person in chosen]


def measure(asked: RegistryOptions) -> dict[str, Any]:
    """Return the figures. Raises SetupError for what cannot be, SimulationError where the load met errors."""
    if asked.rows < 1 or asked.seconds < 1:
        raise SetupError("at least 1 person and 1 second are needed")
    wrk.require()
    progress = Progress(Console(stderr=True))
    with TemporaryDirectory() as folder, progress.showing(), _possible():
        settings = Settings(
            database_url=asked.db or f"sqlite:///{folder}/registry.db", key_file=Path(folder) / "registry.key"
        )
        with progress.step("People decide", asked.rows) as done:
            people = settle(settings, asked.rows, done)
        # Settled without waiting for the disk: what the disk still has to write, the loads would wait for.
        os.sync()
        crowd = RegisteredPeople(people, random.Random(asked.seed))  # noqa: S311
        with progress.step("Loads", 7) as done:
            found = _play(asked, settings, crowd, done)
        with progress.step("Log entries, a thousand at a time", -(-asked.rows // log.BATCH)) as done:
            found |= log.measure(asked.rows, done)
        return {"rows": asked.rows, "database": settings.database_url.split(":")[0]} | found


@contextmanager
def _possible() -> Iterator[None]:
    """Raise SetupError where the registry cannot use the database."""
    try:
        yield
    except ConsentRegistryError as error:
        raise SetupError(str(error)) from None


def _play(asked: RegistryOptions, settings: Settings, crowd: RegisteredPeople, done: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def load(name: str, url: str, requests: Sequence[Request], connections: int, pause: int = 0) -> wrk.Load:
        seen = wrk.play(
            url, requests, token, connections=connections, seconds=asked.seconds, pause_milliseconds=pause
        )
        found[name] = {"per_second": seen.rate, **_within(seen)}
        done(1)
        return seen

    token = _token(settings)
    with _empty() as url:
        empty = load("empty_route", url, [Request("GET", "/")], CONNECTIONS)
    with _registry(settings) as url:
        load("lookups_from_the_table", url, crowd.lookups(len(crowd.people)), CONNECTIONS)
        hot = crowd.lookups(AT_HAND)
        _ask_for(url, token, hot)
        lookups = load("lookups", url, hot, CONNECTIONS)
        half = int(2000 * CONNECTIONS / lookups.rate)
        load("lookups_at_half_load", url, hot, CONNECTIONS, half)
        batches = load("batches", url, crowd.batches(), 2)
        load("durable_writes", url, crowd.decisions(_grant(url)), WRITERS)
    found["one_commit_each"] = {"per_second": _bare_commits(asked.seconds)}
    done(1)
    found["lookups_over_empty_route"] = lookups.rate / empty.rate
    found["batch_decisions_per_second"] = batches.rate * BATCH
    found["writes_over_one_commit_each"] = (
        found["durable_writes"]["per_second"] / found["one_commit_each"]["per_second"]
    )
    return found


def _within(seen: wrk.Load) -> dict[str, float]:
    return dict(zip(WITHIN, (seen.p50, seen.p99, seen.longest), strict=True))


def _token(settings: Settings) -> str:
    tokens = Tokens(key_file.load_or_create(settings.key_file), settings.origin)
    return tokens.mint(Caller(Role.SERVICE, "bench"), int(time.time()), TOKEN_SECONDS)


@contextmanager
def _empty() -> Iterator[str]:
    quiet = ["--no-access-log", "--log-level", "warning"]
    with serving(["uvicorn", "covey_simulations.benchmarks.empty_service:app", *quiet], "/") as url:
        yield url


@contextmanager
def _registry(settings: Settings) -> Iterator[str]:
    variables = {
        "COVEY_REGISTRY_DATABASE_URL": settings.database_url,
        "COVEY_REGISTRY_KEY_FILE": str(settings.key_file),
    }
    with serving(["covey", "registry", "serve"], "/healthz", variables) as url:
        yield url


def _grant(url: str) -> dict[str, Any]:
    notice = httpx.get(f"{url}/v1/notices/{PURPOSE}").json()
    return {
        "purpose": PURPOSE,
        "state": "granted",
        "notice_version": int(notice["version"].partition(".")[0]),
        "language": notice["language"],
        "text_sha256": notice["digest"],
        "method": "toggle",
    }


def _ask_for(url: str, token: str, hot: Sequence[Request]) -> None:
    """Have the registry take at hand whom these lookups are about."""
    people = [request.path.split("/")[3] for request in hot]
    asked = {"purpose": PURPOSE, "subjects": people}
    headers = {"Authorization": f"Bearer {token}"}
    httpx.post(f"{url}/v1/decisions:batch", json=asked, headers=headers, timeout=60).raise_for_status()


def _bare_commits(seconds: int) -> float:
    """Return how many rows a second SQLite commits one by one, each on disk before the next."""
    with TemporaryDirectory() as folder:
        database = sqlite3.connect(f"{folder}/bare.db", isolation_level=None)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute("CREATE TABLE bare (id INTEGER PRIMARY KEY, body BLOB)")
        count, end = 0, time.monotonic() + seconds
        while time.monotonic() < end:
            database.execute("INSERT INTO bare (body) VALUES (?)", (bytes(500),))
            count += 1
        database.close()
    return count / seconds


def show(found: Mapping[str, Any]) -> None:
    """Print a row for each load, then the ratios."""
    console = Console()
    console.print(f"{found['rows']:,} people, one decision each, in {found['database']}")
    table = Table("load", "a second", "half within", "99 in 100 within", "all within")
    for name, seen in found.items():
        if isinstance(seen, Mapping):
            within = (f"{1000 * seen[part]:.2f} ms" if part in seen else "" for part in WITHIN)
            table.add_row(name.replace("_", " "), f"{seen['per_second']:,.0f}", *within)
    console.print(table)
    ratios = Table("figure", "value")
    for name, value in found.items():
        if isinstance(value, float):
            ratios.add_row(name.replace("_", " "), f"{value:,.2f}" if value >= 0.01 else f"{value:.2g}")
    console.print(ratios)
