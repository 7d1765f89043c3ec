"""The encrypted store: SQLite whose rows are sealed with AES-256-GCM under a key that the app holds.

In clear stand sequence numbers, names of settings, phases, and HMAC tags; nothing else. Every row's seal
binds its table and its key, so that a row which was altered or moved does not open. The app keeps the
32-byte key in the platform's keystore; without it the file is noise.

A marker file stands beside a new store from before its file is made until its tables are committed: a file
without tables is a new store's only then, and damaged otherwise.

Several threads and several processes may use one store: `transaction` and `snapshot` give each of them the
store to itself, or as of one moment. What is read to decide on a write is read in the write's transaction.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from covey_sdk import event_checks
from covey_sdk.errors import StoreError

KEY_LENGTH = 32
SCHEMA_VERSION = 1
TAG_LENGTH = 16
MOST_STATEMENTS = 8
"""Prepared statements that are kept: each takes some kilobytes, for as long as the store is open."""

_NONCE_LENGTH = 12
_EDITION = "event-edition"
_NEW = "-new"
"""The ending of the marker of a store whose tables are not committed yet."""
_OPEN_S = 5.0
"""How long an opening waits for others to finish making the file; it asks again every `_RETRY_S`."""
_RETRY_S = 0.005
_ERASED = 0
"""The layout's number in a file that was erased while another process had it open."""
_PASSING = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY}
    | {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}
)
_SCHEMA = (
    "CREATE TABLE meta (version INTEGER NOT NULL, key_check BLOB NOT NULL, checksum BLOB NOT NULL)",
    "CREATE TABLE items (name TEXT PRIMARY KEY, sealed BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE events (seq INTEGER PRIMARY KEY, id_tag BLOB NOT NULL UNIQUE, sum_tag BLOB NOT NULL,"
    " sealed BLOB NOT NULL)",
    "CREATE TABLE ledger (seq INTEGER PRIMARY KEY, sealed BLOB NOT NULL)",
    "CREATE TABLE rounds (round_tag BLOB NOT NULL, phase TEXT NOT NULL, sealed BLOB NOT NULL,"
    " PRIMARY KEY (round_tag, phase)) WITHOUT ROWID",
)
_TABLES = ("items", "events", "ledger", "rounds")


class Store:
    """A store file, made when it is missing. `random` gives nonces.

    Raises StoreError when `key` or `path` is none, when `key` is not the file's, or when the file is damaged,
    closed or erased.
    """

    settings: tuple[str, ...] = ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON")
    """SQLite's pragmas for every opening: a commit is on disk before it returns, what is deleted is gone."""

    def __init__(self, path: str | Path, key: bytes, random: Callable[[int], bytes] = os.urandom) -> None:
        self.path = _checked_path(path)
        _check_key(key)
        self._random = random
        self._aead = AESGCM(_subkey(key, "seal"))
        self._tag_key = _subkey(key, "tag")
        self._lock = threading.RLock()
        self._depth = 0
        self._writing = False
        self._rewritten = False
        self._openings = 0
        self._undone = 0
        self._closed = ""
        self._made = False
        with ExitStack() as stack:
            self._open()
            stack.callback(lambda: self._db.close())
            self._check(key)
            stack.pop_all()

    def close(self) -> None:
        """Close the file. Closing again does nothing."""
        with self._lock:
            self._shut("was closed; open it again")

    def pause(self) -> None:
        """Close the file until the store is used again, outside of any transaction.

        For an app that its system is about to suspend: some systems end an app that still holds a file.
        """
        with self._lock:
            self._paused = True
            self._db.close()

    def erase(self) -> None:
        """Close and delete the file and all that SQLite keeps beside it.

        Another process that has the file open finds it empty, and is told that it was erased.
        """
        with self._lock:
            # A damaged or busy file is deleted all the same.
            with suppress(StoreError), self.transaction():
                for table in _TABLES:
                    self._rows(f"DELETE FROM {table}")  # noqa: S608  # the name is one of ours
                self._rows("UPDATE meta SET version = ?", (_ERASED,))
            self._shut("was erased; open it anew")
            for path in _files(self.path):
                path.unlink(missing_ok=True)

    def scrub(self) -> None:
        """Overwrite what deleted rows left behind, in the file and in its log."""
        self._rows("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make the writes inside happen all or none, durably; nobody else writes meanwhile.

        What is read inside is what the writes follow. Inner transactions join the outer one.
        """
        with self._lock:
            if self._depth and not self._writing:
                raise StoreError("a snapshot of the store is for reading; begin the transaction around it")
            with self._begun("BEGIN IMMEDIATE", writing=True):
                yield

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read everything inside as of one moment, whatever others write meanwhile."""
        with self._lock, self._begun("BEGIN", writing=False):
            yield

    @property
    def foreign_changes(self) -> tuple[int, int]:
        """What changes when another opener of the file has written to it, or may have, during a pause.

        It also changes when a transaction is undone, after which nothing read in it holds.
        """
        version = self._rows("PRAGMA data_version")[0][0]
        return self._openings, version

    def tag(self, *parts: str | int) -> bytes:
        """Return the keyed name under which something is found again without being readable."""
        text = "\0".join(map(str, parts))
        return hmac.digest(self._tag_key, text.encode(), "sha256")[:TAG_LENGTH]

    def get(self, name: str) -> bytes | None:
        """Return the value called `name`, None where there is none."""
        rows = self._rows("SELECT sealed FROM items WHERE name = ?", (name,))
        return self._unseal(rows[0][0], "items", name) if rows else None

    def put(self, name: str, value: bytes) -> None:
        """Set the value called `name`."""
        self._rows("INSERT OR REPLACE INTO items VALUES (?, ?)", (name, self._seal(value, "items", name)))

    def delete(self, name: str) -> None:
        """Delete the value called `name`, if it is there."""
        self._rows("DELETE FROM items WHERE name = ?", (name,))

    def names(self, prefix: str) -> list[str]:
        """Return the names that begin with `prefix`."""
        rows = self._rows("SELECT name FROM items WHERE substr(name, 1, ?) = ?", (len(prefix), prefix))
        return [row[0] for row in rows]

    def append_event(self, id_tag: bytes, sum_tag: bytes, value: bytes) -> int:
        """Add an event at the end and return its number; `find_event(id_tag)` finds it again."""
        with self.transaction():
            seq = self._next("events")
            sealed = self._seal(value, "events", seq, id_tag, sum_tag)
            self._rows("INSERT INTO events VALUES (?, ?, ?, ?)", (seq, id_tag, sum_tag, sealed))
        return seq

    def replace_event(self, seq: int, value: bytes) -> None:
        """Put `value` in the place of event number `seq`."""
        rows = self._rows("SELECT id_tag, sum_tag FROM events WHERE seq = ?", (seq,))
        if not rows:
            raise StoreError(f"there is no event {seq} to replace")
        self._rewrite_events()
        sealed = self._seal(value, "events", seq, *rows[0])
        self._rows("UPDATE events SET sealed = ? WHERE seq = ?", (sealed, seq))

    def find_event(self, id_tag: bytes) -> tuple[bytes, bytes] | None:
        """Return (sum_tag, value) of the event with that tag, None where there is none."""
        rows = self._rows("SELECT seq, id_tag, sum_tag, sealed FROM events WHERE id_tag = ?", (id_tag,))
        return (rows[0][2], self._event(rows[0])[1]) if rows else None

    def events(self) -> list[tuple[int, bytes]]:
        """Return (number, value) of every event, oldest entry first."""
        return self.events_after(0)

    def events_after(self, seq: int) -> list[tuple[int, bytes]]:
        """Return (number, value) of every event with a greater number, oldest entry first."""
        rows = self._rows(
            "SELECT seq, id_tag, sum_tag, sealed FROM events WHERE seq > ? ORDER BY seq", (seq,)
        )
        return [self._event(row) for row in rows]

    def event_edition(self) -> tuple[int, bytes | None]:
        """Return what changes when what was read of events may no longer hold.

        It does when events were replaced or deleted, by whatever process, and when a transaction was undone.
        Events that were added leave it as it is.
        """
        return self._undone, self.get(_EDITION)

    def count_events(self) -> int:
        """Return how many events there are."""
        return int(self._rows("SELECT count(*) FROM events")[0][0])

    def delete_events(self, seqs: Iterable[int]) -> None:
        """Delete the events with these numbers."""
        for seq in seqs:
            self._rewrite_events()
            self._rows("DELETE FROM events WHERE seq = ?", (seq,))

    def _rewrite_events(self) -> None:
        """Begin another edition of the events, once in a transaction."""
        with self.transaction():
            if not self._rewritten:
                self.put(_EDITION, self._random(_NONCE_LENGTH))
                self._rewritten = True

    def append_ledger(self, value: bytes) -> int:
        """Add an entry to the ledger and return its number."""
        with self.transaction():
            seq = self._next("ledger")
            self._rows("INSERT INTO ledger VALUES (?, ?)", (seq, self._seal(value, "ledger", seq)))
        return seq

    def ledger(self) -> list[bytes]:
        """Return every entry of the ledger, oldest first."""
        rows = self._rows("SELECT seq, sealed FROM ledger ORDER BY seq")
        return [self._unseal(sealed, "ledger", seq) for seq, sealed in rows]

    def put_round(self, round_id: str, phase: str, value: bytes) -> None:
        """Set what a phase of a round needs to remember."""
        tag = self.tag("round", round_id)
        sealed = self._seal(value, "rounds", tag, phase)
        self._rows("INSERT OR REPLACE INTO rounds VALUES (?, ?, ?)", (tag, phase, sealed))

    def get_round(self, round_id: str, phase: str) -> bytes | None:
        """Return what a phase of a round remembered, None where there is nothing."""
        tag = self.tag("round", round_id)
        rows = self._rows("SELECT sealed FROM rounds WHERE round_tag = ? AND phase = ?", (tag, phase))
        return self._unseal(rows[0][0], "rounds", tag, phase) if rows else None

    def delete_round(self, round_id: str, phase: str | None = None) -> None:
        """Forget a round, or one phase of it."""
        tag = self.tag("round", round_id)
        if phase is None:
            self._rows("DELETE FROM rounds WHERE round_tag = ?", (tag,))
        else:
            self._rows("DELETE FROM rounds WHERE round_tag = ? AND phase = ?", (tag, phase))

    @contextmanager
    def _begun(self, begin: str, *, writing: bool) -> Iterator[None]:
        """Run what is inside between `begin` and a commit, unless it is inside of such a block already."""
        if self._depth:
            yield
            return
        self._rows(begin)
        self._depth, self._writing, self._rewritten = 1, writing, False
        try:
            self._require_unerased()
            yield
            self._rows("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.rollback()
            # What was read inside and is remembered may be of rows that are gone now.
            self._openings += 1
            self._undone += 1
            raise
        finally:
            self._depth, self._writing = 0, False

    def _require_unerased(self) -> None:
        rows = self._rows("SELECT version FROM meta WHERE version = ?", (_ERASED,)) if self._made else ()
        if rows:
            raise StoreError(f"{self.path.name} was erased by another process; close it and open it anew")

    def _shut(self, why: str) -> None:
        self._closed = self._closed or why
        self._paused = False
        self._db.close()

    def _open(self) -> None:
        self._db, self._paused = _connect(self.path, make=not self._made), False
        self._openings += 1

    def _set(self) -> None:
        """Apply the settings.

        A new file's change to WAL fails at once while another opener makes it: SQLite does not wait there.
        """
        deadline = time.monotonic() + _OPEN_S
        while self._is_busy() and time.monotonic() < deadline:
            time.sleep(_RETRY_S)
        for setting in self.settings:
            self._rows(f"PRAGMA {setting}")

    def _is_busy(self) -> bool:
        try:
            for setting in self.settings:
                self._db.execute(f"PRAGMA {setting}").fetchall()
        except sqlite3.Error as error:
            return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
        return False

    def _check(self, key: bytes) -> None:
        self._set()
        if not self._is_made():
            self._create(key)
        rows = self._rows("SELECT version, key_check, checksum FROM meta")
        version, check, checksum = rows[0] if len(rows) == 1 else (0, b"", b"")
        if not isinstance(check, bytes) or hashlib.sha256(check).digest() != checksum:
            raise self._damaged("its first row does not add up")
        if not hmac.compare_digest(check, _subkey(key, "check")):
            raise StoreError(f"{self.path.name} was made with another key; open it with that one")
        if version == _ERASED:
            self._finish_erasing(key)
        elif version != SCHEMA_VERSION:
            raise StoreError(f"{self.path.name} has layout {version}; this SDK reads {SCHEMA_VERSION}")
        self._made = True
        # A marker that cannot be removed now is removed by the next opening.
        with suppress(OSError):
            _marker(self.path).unlink(missing_ok=True)

    def _finish_erasing(self, key: bytes) -> None:
        """Delete a file whose erasure was cut off before its end, and make a new one."""
        self._db.close()
        for path in _files(self.path):
            path.unlink(missing_ok=True)
        self._open()
        self._set()
        self._create(key)

    def _create(self, key: bytes) -> None:
        check = _subkey(key, "check")
        with self.transaction():
            if self._is_made():
                return  # Another opener made it just now.
            # The marker goes only after tables are committed, so it is there while another opener makes them.
            if not _marker(self.path).exists():
                raise self._damaged("it holds nothing, but is no new store's file")
            for statement in _SCHEMA:
                self._rows(statement)
            row = (SCHEMA_VERSION, check, hashlib.sha256(check).digest())
            self._rows("INSERT INTO meta VALUES (?, ?, ?)", row)

    def _is_made(self) -> bool:
        return bool(self._rows("SELECT 1 FROM sqlite_master LIMIT 1"))

    def _event(self, row: tuple[int, bytes, bytes, bytes]) -> tuple[int, bytes]:
        seq, id_tag, sum_tag, sealed = row
        return seq, self._unseal(sealed, "events", seq, id_tag, sum_tag)

    def _next(self, table: str) -> int:
        rows = self._rows(f"SELECT max(seq) FROM {table}")  # noqa: S608  # the name is one of ours
        return (rows[0][0] or 0) + 1

    def _rows(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._lock:
            if self._closed:
                raise StoreError(f"{self.path.name} {self._closed}")
            if self._paused:
                self._open()
                self._set()
            try:
                return self._db.execute(statement, values).fetchall()
            except sqlite3.Error as error:
                if getattr(error, "sqlite_errorcode", 0) & 0xFF in _PASSING:
                    raise StoreError(f"{self.path.name} cannot be used now: {error}") from None
                raise self._damaged(str(error)) from None

    def _seal(self, value: bytes, table: str, *key: str | int | bytes) -> bytes:
        nonce = self._random(_NONCE_LENGTH)
        return nonce + self._aead.encrypt(nonce, value, _place(table, *key))

    def _unseal(self, sealed: bytes, table: str, *key: str | int | bytes) -> bytes:
        try:
            return self._aead.decrypt(sealed[:_NONCE_LENGTH], sealed[_NONCE_LENGTH:], _place(table, *key))
        except (InvalidTag, ValueError, TypeError):
            raise self._damaged(f"a row of {table} does not open") from None

    def _damaged(self, why: str) -> StoreError:
        return StoreError(f"{self.path.name} is damaged ({why}); restore a backup or erase it")


def _checked_path(path: Any) -> Path:
    if not isinstance(path, str | Path):
        raise StoreError(f"a store's path is {event_checks.shown(path)}; text or a pathlib.Path was expected")
    if not Path(path).name:
        raise StoreError(f"a store's path is {str(path)!r}; the path of a file was expected")
    return Path(path)


def _check_key(key: Any) -> None:
    """Require the bytes of a key. The error never shows them."""
    if type(key) is not bytes:
        raise StoreError(f"a store's key has {KEY_LENGTH} bytes; a {type(key).__name__} was given")
    if len(key) != KEY_LENGTH:
        raise StoreError(f"a store's key has {KEY_LENGTH} bytes; {len(key)} were given")


def _connect(path: Path, *, make: bool) -> sqlite3.Connection:
    """Open the file. With `make`, a missing one is made, after its marker."""
    try:
        if make and not path.exists():
            _mark(path)
        os.close(os.open(path, os.O_RDWR | (os.O_CREAT if make else 0), 0o600))
        return sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, cached_statements=MOST_STATEMENTS
        )
    # A ValueError is for a path with a NUL or with a lone surrogate.
    except (OSError, ValueError, sqlite3.Error) as error:
        raise StoreError(f"{str(path)!r} cannot be opened: {error}") from None


def _mark(path: Path) -> None:
    """Write the marker of a new store, on disk before the store's own file is."""
    marker = os.open(_marker(path), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        os.fsync(marker)
    finally:
        os.close(marker)
    # Some systems cannot open a folder; there the file system keeps the order in which files are made.
    with suppress(OSError):
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _marker(path: Path) -> Path:
    return path.with_name(path.name + _NEW)


def _files(path: Path) -> list[Path]:
    """Return all files of a store, the marker first: a store made anew meanwhile keeps its own."""
    return [path.with_name(path.name + suffix) for suffix in (_NEW, "", "-wal", "-shm", "-journal")]


def _subkey(key: bytes, use: str) -> bytes:
    return HKDF(SHA256(), KEY_LENGTH, None, b"covey/store/" + use.encode()).derive(key)


def _place(*where: str | int | bytes) -> bytes:
    """Return the associated data that ties a row to its table and key."""
    return b"\0".join(part if isinstance(part, bytes) else str(part).encode() for part in where)
