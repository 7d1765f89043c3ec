"""The coordinator's durable memory: the budget it has charged and the rounds it has opened.

A round that runs is kept with every step that it took, so that a coordinator that was stopped goes on with
it. The charge is written before anyone is asked to open a sum, and is never taken back. With it stands what
is told should the round be cut short: a round that was charged and not finished is burnt. Exact figures are
in sealed annexes alone: the coordinator knows them while it runs, afterwards who has the operator's key, or
that of one annex.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from covey_privacy import wire
from covey_privacy.dp import Caps, Charge, SkellamMechanism, require_room
from covey_privacy.evidence import ABORTED, BURNT, RELEASED, Evidence
from covey_privacy.manifest import FIRST, Plan
from covey_privacy.round_files import RoundFiles
from covey_privacy.tickets import IssuerKey, IssuerKeys
from covey_server.errors import ConfigError, RoundError
from covey_server.round_state import RoundResult
from covey_server.round_steps import CHARGED, StoredSteps

_SCHEMA = """
CREATE TABLE IF NOT EXISTS rounds (id TEXT PRIMARY KEY, state TEXT NOT NULL, result TEXT);
CREATE TABLE IF NOT EXISTS slots
    (purposes TEXT NOT NULL, epoch INTEGER NOT NULL, slot INTEGER NOT NULL, round_id TEXT NOT NULL,
     PRIMARY KEY (purposes, epoch, slot));
CREATE TABLE IF NOT EXISTS charges
    (round_id TEXT PRIMARY KEY, purpose TEXT NOT NULL, mechanism TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS releases
    (query TEXT PRIMARY KEY, version INTEGER NOT NULL, signed BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS running
    (round_id TEXT PRIMARY KEY, query TEXT NOT NULL, files BLOB NOT NULL, nonce BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS steps
    (round_id TEXT NOT NULL, name TEXT NOT NULL, outcome BLOB NOT NULL, PRIMARY KEY (round_id, name));
CREATE TABLE IF NOT EXISTS trainings
    (id INTEGER PRIMARY KEY, plan BLOB NOT NULL, step INTEGER NOT NULL, previous BLOB NOT NULL,
     state TEXT NOT NULL, round_id TEXT);
CREATE TABLE IF NOT EXISTS annexes (round_id TEXT PRIMARY KEY, sealed BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS proofs (round_id TEXT PRIMARY KEY, proofs BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS untold (round_id TEXT PRIMARY KEY, evidence BLOB NOT NULL);
"""

OPEN, PLAYING, DONE, OVER = "open", "playing", "done", "over"
"""States of a training: waits for its next step, is in one, has had all, or ended in a round that failed."""


@dataclass(frozen=True, slots=True)
class Training:
    """A training under way: its plan, its next step, and the digest of the manifest before that."""

    plan: Plan
    step: int = 0
    previous: bytes = FIRST


@dataclass(frozen=True, slots=True)
class StoredRound:
    """A round that runs: its files, and the nonce of its draw."""

    round_id: str
    files: RoundFiles
    nonce: bytes


@dataclass(frozen=True, slots=True)
class SignedRelease:
    """A release as it is published: signed, with its name and version."""

    name: str
    version: int
    signed: bytes


class Store:
    """Budget and rounds in one SQLite file; every method is one durable transaction."""

    def __init__(self, path: Path) -> None:
        with ExitStack() as stack:
            try:
                self._db = sqlite3.connect(path, isolation_level=None)
                stack.callback(self._db.close)  # Or it would stay locked while somebody holds the error.
                self._open()
            except sqlite3.Error as error:
                raise ConfigError(f"{path} cannot be used as the coordinator's store: {error}") from None
            stack.pop_all()

    def _open(self) -> None:
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
        self._db.executescript(_SCHEMA)
        if "round_id" not in {row[1] for row in self._db.execute("PRAGMA table_info(trainings)")}:
            self._db.execute("ALTER TABLE trainings ADD COLUMN round_id TEXT")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def running(self, query: str | None = None) -> tuple[StoredRound, ...]:
        """Return the rounds that run, of one query or of all."""
        rows = self._db.execute(
            "SELECT round_id, files, nonce FROM running WHERE query = coalesce(?, query) ORDER BY rowid",
            (query,),
        )
        return tuple(StoredRound(i, wire.decode(RoundFiles, files), bytes(nonce)) for i, files, nonce in rows)

    def steps(self, round_id: str) -> StoredSteps:
        """Return the steps that a round took."""
        return StoredSteps(self._db, round_id)

    def burn(self, round_id: str) -> None:
        """Write down that a round was cut short once it was charged; `charge` said how it ends then."""
        with self._together():
            self._close(round_id, BURNT)

    def drop_round(self, round_id: str) -> None:
        """Write down that a round ended before it was in the log; there is nothing to tell of it."""
        with self._together():
            self._close(round_id, ABORTED)

    def next_slot(self, issuer_keys: IssuerKeys) -> int:
        """Return the first slot of a purpose set and epoch that comes after all that rounds took.

        Raises RoundError where all slots are used.
        """
        name, epoch = "+".join(issuer_keys.purposes), issuer_keys.epoch
        query = "SELECT coalesce(max(slot), 0) + 1 FROM slots WHERE purposes = ? AND epoch = ?"
        slot = int(self._db.execute(query, (name, epoch)).fetchone()[0])
        if slot > issuer_keys.slots:
            raise RoundError(
                f"all {issuer_keys.slots} slots of epoch {epoch} are used for "
                f"{' + '.join(issuer_keys.purposes)}; wait for the next epoch or declare more slots "
                "(COVEY_REGISTRY_SLOTS, from the next epoch on)"
            )
        return slot

    def open_round(
        self, stored: StoredRound, query: str, issuer: IssuerKey, training: Training | None = None
    ) -> None:
        """Write down that a round is about to begin, and that it takes the slot of this issuer key.

        `training` is the one whose next step it is; with the first step, the training begins.

        Raises RoundError, writing nothing, where another round took the slot.
        """
        round_id = stored.round_id
        row = ("+".join(issuer.purposes), issuer.epoch, issuer.slot, round_id)
        with self._together():
            try:
                self._db.execute("INSERT INTO slots VALUES (?, ?, ?, ?)", row)
            except sqlite3.IntegrityError:
                raise RoundError(
                    f"round {round_id!r} is not opened: another round took slot {issuer.slot} of epoch "
                    f"{issuer.epoch} for {' + '.join(issuer.purposes)} meanwhile; ask again for the next slot"
                ) from None
            self._db.execute("INSERT INTO rounds (id, state) VALUES (?, 'open')", (round_id,))
            kept = (round_id, query, wire.encode(stored.files), stored.nonce)
            self._db.execute("INSERT INTO running VALUES (?, ?, ?, ?)", kept)
            if training is not None:
                self._begin_step(training, round_id)

    def close_round(
        self,
        round_id: str,
        state: str,
        result: RoundResult,
        release: SignedRelease | None = None,
        manifest: bytes = FIRST,
    ) -> None:
        """Write down how a round ended, with what it releases; its evidence is unlogged until `note_logged`.

        `manifest` is the digest of the round's manifest, which the next step of its training names.
        """
        with self._together():
            if release:
                self.put_release(release.name, release.version, release.signed)
            self._close(round_id, state, manifest)
            self._keep_result(round_id, result)

    def unlogged_evidence(self) -> dict[str, Evidence]:
        """Return the evidence that the log may not hold, by the id of its round, which is over."""
        rows = self._db.execute(
            "SELECT round_id, evidence FROM untold JOIN rounds ON id = round_id WHERE state != 'open'"
        )
        return {round_id: wire.decode(Evidence, evidence) for round_id, evidence in rows}

    def note_logged(self, round_id: str, index: int) -> None:
        """Write down that a round's evidence is entry number `index` of the log."""
        with self._together():
            row = self._row("SELECT result FROM rounds WHERE id = ?", round_id)
            result = json.loads(row[0]) | {"evidence_index": index}
            self._db.execute("UPDATE rounds SET result = ? WHERE id = ?", (json.dumps(result), round_id))
            self._db.execute("DELETE FROM untold WHERE round_id = ?", (round_id,))

    def count(self, query: str) -> int:
        """Return how many rounds of a query were ever opened."""
        row = self._db.execute("SELECT count(*) FROM rounds WHERE id LIKE ? || '-%'", (query,)).fetchone()
        return int(row[0])

    def charges(self) -> tuple[Charge, ...]:
        """Return every charge."""
        rows = self._db.execute("SELECT round_id, purpose, mechanism FROM charges ORDER BY rowid")
        return tuple(Charge(i, purpose, SkellamMechanism(**json.loads(m))) for i, purpose, m in rows)

    def charge(self, charge: Charge, caps: Caps, cut_short: Callable[[], RoundResult]) -> None:
        """Charge the budget. Raises BudgetError, charging nothing, when that would pass a cap.

        `cut_short` is asked, once the charge stands, how the round ends should nothing else be written down.
        """
        row = (charge.round_id, charge.purpose, json.dumps(asdict(charge.mechanism)))
        with self._together():
            require_room(self.charges(), charge, caps)
            self._db.execute("INSERT INTO charges VALUES (?, ?, ?)", row)
            self.steps(charge.round_id).put(CHARGED, b"")
            self._keep_result(charge.round_id, cut_short())

    def releases(self, names: Iterable[str]) -> tuple[bytes, ...]:
        """Return the latest signed release of each name, as far as there is one."""
        rows = (self._row("SELECT signed FROM releases WHERE query = ?", name) for name in names)
        return tuple(bytes(row[0]) for row in rows if row)

    def next_version(self, name: str) -> int:
        """Return the version of the next release called `name`."""
        row = self._row("SELECT version FROM releases WHERE query = ?", name)
        return int(row[0]) + 1 if row else 1

    def put_release(self, name: str, version: int, signed: bytes) -> None:
        """Keep a signed release as the latest of its name."""
        self._db.execute("INSERT OR REPLACE INTO releases VALUES (?, ?, ?)", (name, version, signed))

    def training(self) -> Training | None:
        """Return the training that waits for its next step, or is in it."""
        row = self._db.execute(
            "SELECT plan, step, previous FROM trainings WHERE state IN (?, ?)", (OPEN, PLAYING)
        ).fetchone()
        return Training(wire.decode(Plan, row[0]), int(row[1]), bytes(row[2])) if row else None

    def results(self) -> list[dict[str, Any]]:
        """Return the results of all rounds that are over, oldest first, but for those burnt uncharged."""
        return [result for result, _ in self.results_with_annexes()]

    def results_with_annexes(self) -> list[tuple[dict[str, Any], bytes]]:
        """Return the results of `results`, each with its sealed annex, empty where it has none."""
        rows = self._db.execute(
            "SELECT result, sealed FROM rounds LEFT JOIN annexes ON id = round_id "
            "WHERE result IS NOT NULL AND state != 'open' ORDER BY rounds.rowid"
        )
        return [(json.loads(result), bytes(sealed or b"")) for result, sealed in rows]

    def annex(self, round_id: str) -> bytes:
        """Return the sealed annex to a round's evidence. Raises ConfigError where there is none."""
        row = self._row("SELECT sealed FROM annexes WHERE round_id = ?", round_id)
        if row is None:
            raise ConfigError(f"the store has no annex of round {round_id!r}; rounds that ended have one")
        return bytes(row[0])

    def proofs(self, round_id: str) -> bytes:
        """Return a round's encoded `RoundProofs`. Raises ConfigError where there are none."""
        row = self._row("SELECT proofs FROM proofs WHERE round_id = ?", round_id)
        if row is None:
            raise ConfigError(f"the store has no proofs of round {round_id!r}; rounds that opened a sum have")
        return bytes(row[0])

    def _begin_step(self, training: Training, round_id: str) -> None:
        if training.step:
            self._db.execute(
                "UPDATE trainings SET state = ?, round_id = ? WHERE state = ?", (PLAYING, round_id, OPEN)
            )
            return
        row = (wire.encode(training.plan), training.step, training.previous, PLAYING, round_id)
        self._db.execute(
            "INSERT INTO trainings (plan, step, previous, state, round_id) VALUES (?, ?, ?, ?, ?)", row
        )

    def _close(self, round_id: str, state: str, manifest: bytes = FIRST) -> None:
        """End a round; its training goes on where it released something, else it is over."""
        self._db.execute("UPDATE rounds SET state = ? WHERE id = ?", (state, round_id))
        self._db.execute("DELETE FROM running WHERE round_id = ?", (round_id,))
        self._db.execute("DELETE FROM steps WHERE round_id = ?", (round_id,))
        row = self._row("SELECT plan, step FROM trainings WHERE state = 'playing' AND round_id = ?", round_id)
        if row is None:
            return
        last = int(row[1]) + 1 == len(wire.decode(Plan, row[0]).steps)
        after = OVER if state != RELEASED else DONE if last else OPEN
        self._db.execute(
            "UPDATE trainings SET state = ?, step = step + 1, previous = ? WHERE round_id = ?",
            (after, manifest, round_id),
        )

    def _keep_result(self, round_id: str, result: RoundResult) -> None:
        self._db.execute("UPDATE rounds SET result = ? WHERE id = ?", (json.dumps(result.result), round_id))
        rows = {"untold": wire.encode(result.evidence), "annexes": result.annex}
        if result.proofs.final_request:
            rows["proofs"] = wire.encode(result.proofs)
        for table, value in rows.items():
            self._db.execute(f"INSERT OR REPLACE INTO {table} VALUES (?, ?)", (round_id, value))  # noqa: S608  # a name of ours

    @contextmanager
    def _together(self) -> Iterator[None]:
        """Make the writes inside happen all or none."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.rollback()
            raise

    def _row(self, statement: str, value: str) -> Any:
        return self._db.execute(statement, (value,)).fetchone()
