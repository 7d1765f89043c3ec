"""The log measured: commitments appended, published and proved, beside SQLite's bare rows."""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory

from covey_consent.storage.store import Store
from covey_consent.transparency.log import Log
from covey_privacy.inclusion_promise import consent_leaf
from covey_privacy.registry_messages import LEAF_CONSENT
from covey_privacy.signatures import SigningKey

BATCH = 1000
"""Entries that one write appends, and one checkpoint publishes."""
PROOFS = 1000


def measure(entries: int, tell: Callable[[int], None]) -> dict[str, float]:
    """Return appends a second, beside bare rows committed in the same batches, and a proof's seconds."""
    leaves = [secrets.token_bytes(32) for _ in range(entries)]
    with TemporaryDirectory() as folder:
        found = asyncio.run(_append(Path(folder), leaves, tell))
        bare = _bare_rows(Path(folder), leaves)
    return found | {
        "bare_rows_per_second": bare,
        "log_appends_over_bare_rows": found["log_appends_per_second"] / bare,
    }


async def _append(folder: Path, leaves: Sequence[bytes], tell: Callable[[int], None]) -> dict[str, float]:
    store = Store.open(f"sqlite:///{folder}/log.db")
    try:
        log = Log(store, "bench.example/log", SigningKey(secrets.token_bytes(32)))
        log.open()
        begin = time.perf_counter()
        for start in range(0, len(leaves), BATCH):
            await log.write(log.append_all, LEAF_CONSENT, leaves[start : start + BATCH])
            tell(1)
        seconds = time.perf_counter() - begin
        return {"log_appends_per_second": len(leaves) / seconds, "proof_seconds": await _proof(log, leaves)}
    finally:
        await store.close()


async def _proof(log: Log, leaves: Sequence[bytes]) -> float:
    """Return the mean seconds of an inclusion proof in the whole log."""
    chosen = [consent_leaf(secrets.choice(leaves)) for _ in range(PROOFS)]
    times = []
    for leaf in chosen:
        begin = time.perf_counter()
        await log.inclusion(leaf)
        times.append(time.perf_counter() - begin)
    return mean(times)


def _bare_rows(folder: Path, leaves: Sequence[bytes]) -> float:
    """Return how many rows a second SQLite takes in the same batches, each batch on disk before the next."""
    database = sqlite3.connect(f"{folder}/bare.db", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE bare (id INTEGER PRIMARY KEY, entry BLOB)")
    begin = time.perf_counter()
    for start in range(0, len(leaves), BATCH):
        database.execute("BEGIN")
        rows = ((LEAF_CONSENT + leaf,) for leaf in leaves[start : start + BATCH])
        database.executemany("INSERT INTO bare (entry) VALUES (?)", rows)
        database.execute("COMMIT")
    seconds = time.perf_counter() - begin
    database.close()
    return len(leaves) / seconds
