"""The file of the encrypted store: an SQLite file that is made, opened, paused and erased.

A marker file stands beside a new store from before its file is made until its tables are committed: a file
without tables is a new store's only then, and damaged otherwise.

Several threads and several processes may use one file: `transaction` and `snapshot` give each of them the
store to itself, or as of one moment. What is read to decide on a write is read in the write's transaction.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from covey_sdk.errors import StoreError

KEY_LENGTH = 32
SCHEMA_VERSION = 1
MOST_STATEMENTS = 8
"""Prepared statements that are kept: each takes some kilobytes, for as long as the store is open."""

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


class StoreFile:
    """A store's file, made when it is missing.

    Raises StoreError when `key` is not the file's, or when the file is damaged, closed or erased.
    """

    settings: tuple[str, ...] = ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON")
    """SQLite's pragmas for every opening: a commit is on disk before it returns, what is deleted is gone."""

    def __init__(self, path: Path, key: bytes) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._depth = 0
        self._writing = False
        self._begun_blocks = 0
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

    @contextmanager
    def _begun(self, begin: str, *, writing: bool) -> Iterator[None]:
        """Run what is inside between `begin` and a commit, unless it is inside of such a block already."""
        if self._depth:
            yield
            return
        self._rows(begin)
        self._depth, self._writing = 1, writing
        self._begun_blocks += 1
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
        if not hmac.compare_digest(check, subkey(key, "check")):
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
        check = subkey(key, "check")
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

    def _damaged(self, why: str) -> StoreError:
        return StoreError(f"{self.path.name} is damaged ({why}); restore a backup or erase it")


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


def subkey(key: bytes, use: str) -> bytes:
    """Return the key for one use, derived from the store's."""
    return HKDF(SHA256(), KEY_LENGTH, None, b"covey/store/" + use.encode()).derive(key)
