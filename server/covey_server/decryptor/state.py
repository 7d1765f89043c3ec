"""What a decryptor has durably done: seats given, sets checked, sums opened. No secret is in it.

A folder belongs to one key and one process. Its rows stop a decryptor from answering a round a second time,
so a copy of the folder, an old backup or an empty folder under a used key is refused. `restored` accepts
such a folder, and then refuses every round that the lost rows could be about: a seat is given only for
rounds that end within `LONGEST` seconds, so all those rounds end within `LONGEST` seconds of the restoration.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from covey_privacy.errors import ServerError
from covey_privacy.protocol_rules import Rule
from covey_server.decryptor.errors import StateError

UNUSED = "unused"
"""Stands beside a key that no state belongs to yet, where the state's id stands later."""
LONGEST = 48 * 3600
"""Seconds from giving a seat to the end of the round's last window, at most."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS rounds (
    digest BLOB PRIMARY KEY, operator BLOB NOT NULL, round_id TEXT NOT NULL, shop TEXT NOT NULL,
    query TEXT NOT NULL, purpose TEXT NOT NULL, epsilon REAL NOT NULL, closes INTEGER NOT NULL,
    seated INTEGER NOT NULL, seat BLOB NOT NULL,
    checked INTEGER, check_request BLOB, root BLOB, members INTEGER, complaints INTEGER,
    opened INTEGER, open_request BLOB, head BLOB, excluded INTEGER,
    UNIQUE (operator, round_id)
);
"""
_COLUMNS = (
    "digest, round_id, shop, query, purpose, epsilon, closes, seated, checked, members, complaints, opened, "
    "excluded"
)


@dataclass(frozen=True, slots=True)
class SeatRecord:
    """A seat to be given: the manifest's digest, whose round it is, when its last window closes, the seat."""

    digest: bytes
    operator: bytes
    round_id: str
    shop: str
    query: str
    purpose: str
    epsilon: float
    closes: int
    seat: bytes


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """What was done in one round. Times are POSIX seconds; None where a step was not taken.

    `members` is the size of the set checked, `excluded` how many of it the set opened leaves out.
    """

    digest: bytes
    round_id: str
    shop: str
    query: str
    purpose: str
    epsilon: float
    closes: int
    seated: int
    checked: int | None
    members: int | None
    complaints: int | None
    opened: int | None
    excluded: int | None


class State:
    """One SQLite file in a folder; every writing method is one durable transaction."""

    def __init__(self, folder: Path, key_file: Path, public: bytes, now: int, restored: bool = False) -> None:
        """Open the folder, which is made at first, for the key in `key_file`.

        Args:
            public: the key's public half.
            restored: accept a folder that is a copy or a backup, or an empty one for a used key.

        Raises:
            StateError: another process uses the folder or the key, or the folder is not this key's own.
        """
        self._locks: list[int] = []
        self._db: sqlite3.Connection | None = None
        self._one_at_a_time = Lock()
        self._marker = _marker_of(key_file)
        with ExitStack() as on_failure:
            on_failure.callback(self.close)
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._take(
                    folder / "lock", f"another decryptor uses the state folder {folder}; one alone may"
                )
                self._take(key_file, f"another decryptor uses the key {key_file}; one alone may")
                self._open(folder / "decryptor.db")
                self._claim(folder / "decryptor.db", public, now, restored)
            except sqlite3.Error as error:
                raise StateError(f"{folder} cannot be used as a decryptor's state: {error}") from None
            except OSError as error:
                raise StateError(f"{error.filename} cannot be used: {error.strerror}") from None
            on_failure.pop_all()

    def close(self) -> None:
        """Close the file and let another process use folder and key."""
        if self._db is not None:
            self._db.close()
            self._db = None
        while self._locks:
            os.close(self._locks.pop())

    @property
    def serves_after(self) -> int:
        """Rounds that end at this time or before get no seat; 0 where nothing was restored."""
        with self._one_at_a_time:
            return int(self._about("serves_after") or 0)

    def give_seat(self, record: SeatRecord, now: int) -> bool:
        """Write down that a seat is given; return False where it was given before.

        Raises ServerError where another manifest of the same round id has a seat.
        """
        with self._transaction() as db:
            row = db.execute(
                "SELECT digest FROM rounds WHERE operator = ? AND round_id = ?",
                (record.operator, record.round_id),
            ).fetchone()
            if row is not None and bytes(row[0]) != record.digest:
                raise ServerError(
                    f"another manifest of round {record.round_id!r} has a seat; a round has one manifest",
                    rule=Rule.STEP_ONCE,
                )
            if row is not None:
                return False
            db.execute(
                "INSERT INTO rounds (digest, operator, round_id, shop, query, purpose, epsilon, closes, seat,"
                " seated) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    record.digest, record.operator, record.round_id, record.shop, record.query,
                    record.purpose, record.epsilon, record.closes, record.seat, now,
                ),
            )  # fmt: skip
        return True

    def keep_check(
        self, digest: bytes, request: bytes, root: bytes, members: int, complaints: int, now: int
    ) -> None:
        """Write down that a set was checked; `request` is the digest of what asked for it.

        Raises ServerError where another was checked before.
        """
        self._once(
            "check_request", request, digest,
            "checked = ?, root = ?, members = ?, complaints = ?", (now, root, members, complaints),
        )  # fmt: skip

    def keep_opening(self, digest: bytes, request: bytes, head: bytes, excluded: int, now: int) -> None:
        """Write down that a sum was opened. Raises ServerError where another was opened before."""
        self._once(
            "open_request", request, digest, "opened = ?, head = ?, excluded = ?", (now, head, excluded)
        )

    def find(self, digest: bytes) -> RoundRecord | None:
        """Return what was done in the round of a manifest's digest, None where no seat was given."""
        rows = self._rounds("WHERE digest = ?", digest)
        return rows[0] if rows else None

    def rounds(self, most: int) -> list[RoundRecord]:
        """Return the last rounds, newest first."""
        return self._rounds("ORDER BY rowid DESC LIMIT ?", most)

    def totals(self) -> dict[str, int]:
        """Return how many seats were given, sets checked and sums opened, and members complained about."""
        with self._one_at_a_time:
            row = self._connection.execute(
                "SELECT count(*), count(checked), count(opened), coalesce(sum(complaints), 0) FROM rounds"
            ).fetchone()
        return dict(zip(("seats", "checked", "opened", "complaints"), map(int, row), strict=True))

    @property
    def _connection(self) -> sqlite3.Connection:
        if self._db is None:
            raise StateError("this decryptor is shutting down")
        return self._db

    def _take(self, path: Path, taken: str) -> None:
        """Lock a file for this process, as long as it runs."""
        file = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._locks.append(file)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateError(taken) from None

    def _open(self, path: Path) -> None:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_SCHEMA)

    def _claim(self, path: Path, public: bytes, now: int, restored: bool) -> None:
        """Make a new folder this key's own, or require that it is: the same file, not a copy of it."""
        own, inode = self._about("id"), str(path.stat().st_ino)
        marked = self._marker.read_text("ascii") if self._marker.exists() else None
        if self._about("key") not in (None, public.hex()):
            raise StateError(f"{path.parent} is the state of another key; give each key a folder of its own")
        known = own is not None and self._about("inode") == inode and marked in (None, UNUSED, own)
        new = own is None and marked == UNUSED
        if not known and not new and not restored:
            raise StateError(
                f"{path.parent} is not known to be the state that this key was last used with: it is a copy, "
                "a backup, or empty for a key that may have been used. Use the original; where that is lost, "
                f"start once with --restored, and rounds of the next {LONGEST // 3600} hours are refused"
            )
        about = {"id": own or secrets.token_hex(16), "inode": inode, "key": public.hex()}
        if restored:  # under a new id, so that the folder it is a copy of is refused from now on
            about["id"] = secrets.token_hex(16)
            about["serves_after"] = str(now + LONGEST)
        with self._transaction() as db:
            db.executemany("INSERT OR REPLACE INTO about VALUES (?, ?)", about.items())
        if marked != about["id"]:
            _mark(self._marker, about["id"])

    def _about(self, name: str) -> str | None:
        row = self._connection.execute("SELECT value FROM about WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else None

    def _once(
        self, column: str, request: bytes, digest: bytes, fields: str, values: tuple[object, ...]
    ) -> None:
        with self._transaction() as db:
            # S608: the names are constants of this module.
            found = db.execute(f"SELECT {column} FROM rounds WHERE digest = ?", (digest,)).fetchone()  # noqa: S608
            if found is None or found[0] not in (None, request):
                raise ServerError(
                    "this decryptor answered another request in this round", rule=Rule.STEP_ONCE
                )
            if found[0] is None:
                db.execute(
                    f"UPDATE rounds SET {column} = ?, {fields} WHERE digest = ?",  # noqa: S608
                    (request, *values, digest),
                )

    def _rounds(self, which: str, value: object) -> list[RoundRecord]:
        with self._one_at_a_time:
            rows = self._connection.execute(f"SELECT {_COLUMNS} FROM rounds {which}", (value,)).fetchall()  # noqa: S608
        return [RoundRecord(*row) for row in rows]

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._one_at_a_time:
            db = self._connection
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.rollback()
                raise


def mark_unused(key_file: Path) -> None:
    """Write beside a key that was just made that no state belongs to it yet.

    A key without this mark may have been used: an empty folder is then no proof that it gave no seat.
    """
    _mark(_marker_of(key_file), UNUSED)


def _marker_of(key_file: Path) -> Path:
    return key_file.with_name(f"{key_file.name}.state")


def _mark(marker: Path, state: str) -> None:
    draft = marker.with_name(f"{marker.name}.new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(state)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(marker)
