"""Kills one party of a round before or after a chosen durable write.

A durable write is a commit to SQLite that changes something, a file that is renamed or deleted, or a folder
that is made. The write raises `Killed` in the party's code; from then on every durable write of that party
raises, so that nothing of it gets to the disk until whoever started the party starts it again.

    points = KillPoints()
    with points.watching():
        points.arm(lambda path: path.name == "phone-0.db", 3, BEFORE)
        ...                         # `Killed` comes from the third write
        points.disarm()             # the party may be started again
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

import pytest

BEFORE, AFTER = "before", "after"
SIDES = (BEFORE, AFTER)

_CHANGES = ("CREATE", "DELETE", "DROP", "INSERT", "REPLACE", "UPDATE")
_TABLE = re.compile(r'\b(?:INTO|UPDATE|FROM|TABLE(?: IF NOT EXISTS)?)\s+"?(\w+)')


class Killed(BaseException):
    """A party's process died. No handler in the product catches it."""


class KilledDatabaseError(sqlite3.OperationalError):
    """As `Killed`, for parties whose database layer hands other exceptions over between threads."""

    sqlite_errorcode = sqlite3.SQLITE_IOERR


class KillPoints:
    """Counts the durable writes of one party at a time, and kills it at one of them.

    `written` has a label for each durable write since `arm`, such as "commit charges+steps"; `died_at` says
    at which one the party was killed, such as "after commit charges+steps".
    """

    def __init__(self) -> None:
        self.killed = False
        self.written: list[str] = []
        self.died_at = ""
        self._watched: Callable[[Path], bool] = lambda _path: False
        self._at, self._side, self._label = 0, BEFORE, ""
        self.error: type[BaseException] = Killed
        self._lock = RLock()

    def arm(
        self,
        watched: Callable[[Path], bool],
        at: int = 0,
        side: str = BEFORE,
        error: type[BaseException] = Killed,
        label: str = "",
    ) -> None:
        """Count the writes to files that are `watched` from now on, and kill at number `at`; 0 kills never.

        With `label`, the number is among the writes that have this text in their labels.
        """
        self.killed, self.written, self._watched = False, [], watched
        self._at, self._side, self._label, self.error = at, side, label, error
        self.died_at = ""

    def disarm(self) -> None:
        """Count and kill no more."""
        self.killed, self._watched = False, lambda _path: False

    def revive(self) -> None:
        """Let the party that was killed write again; it is killed once."""
        with self._lock:
            self.killed, self._at = False, 0

    def around(self, path: Path, label: str, write: Callable[[], Any]) -> Any:
        """Make a durable write to `path`, or die before it or after it."""
        if not self._watched(path):
            return write()
        with self._lock:
            if self.killed:
                raise self.error("the process is dead")
            self.written.append(label)
            due = self._label in label and self._at == sum(self._label in each for each in self.written)
            if due:
                self.died_at = f"{self._side} {label}"
            if due and self._side == BEFORE:
                self.killed = True
                raise self.error(f"before {label}")
            done = write()
            if due:
                self.killed = True
                raise self.error(f"after {label}")
            return done

    @contextmanager
    def watching(self) -> Iterator[None]:
        """See the durable writes of this process."""
        with pytest.MonkeyPatch.context() as patch:
            self._watch_sqlite(patch)
            self._watch_files(patch)
            yield

    def _watch_sqlite(self, patch: pytest.MonkeyPatch) -> None:
        points, connect = self, sqlite3.connect

        def watched(database: Any, *arguments: Any, **options: Any) -> sqlite3.Connection:
            connection = connect(database, *arguments, **{"factory": WatchedConnection, **options})
            if isinstance(connection, WatchedConnection):
                connection.watch(points, Path(database))
            return connection

        patch.setattr(sqlite3, "connect", watched)
        patch.setattr(sqlite3.dbapi2, "connect", watched)

    def _watch_files(self, patch: pytest.MonkeyPatch) -> None:
        replace, unlink, mkdir = Path.replace, Path.unlink, Path.mkdir

        def rename(path: Path, target: Any) -> Path:
            renamed: Path = self.around(path, f"rename {Path(target).name}", lambda: replace(path, target))
            return renamed

        def delete(path: Path, missing_ok: bool = False) -> None:
            if path.exists():
                self.around(path, f"delete {path.name}", lambda: unlink(path, missing_ok))
            else:
                unlink(path, missing_ok)

        def make(path: Path, *arguments: Any, **options: Any) -> None:
            if path.exists():
                mkdir(path, *arguments, **options)
            else:
                self.around(path, "make folder", lambda: mkdir(path, *arguments, **options))

        patch.setattr(Path, "replace", rename)
        patch.setattr(Path, "unlink", delete)
        patch.setattr(Path, "mkdir", make)


class WatchedConnection(sqlite3.Connection):
    """A connection whose commits are durable writes of its file's party."""

    _points: KillPoints | None = None
    _path = Path()
    _changed: tuple[str, ...] = ()

    def watch(self, points: KillPoints, path: Path) -> None:
        """Report commits to `points` as writes to `path`."""
        self._points, self._path = points, path

    def cursor(self, factory: Any = None) -> sqlite3.Cursor:
        return super().cursor(factory or WatchedCursor)

    def execute(self, text: str, *values: Any) -> sqlite3.Cursor:
        return self.cursor().execute(text, *values)

    def executemany(self, text: str, *values: Any) -> sqlite3.Cursor:
        return self.cursor().executemany(text, *values)

    def executescript(self, script: str) -> sqlite3.Cursor:
        return self.cursor().executescript(script)

    def commit(self) -> None:
        if self.in_transaction:
            self._commit(super().commit)

    def rollback(self) -> None:
        self._changed = ()
        super().rollback()

    def __exit__(self, kind: Any, error: Any, trace: Any) -> Any:
        if kind is None:
            self.commit()
        else:
            self.rollback()
        return False

    def statement(self, text: str, run: Callable[[], Any]) -> Any:
        """Run one statement, which may be a durable write."""
        verb = text.split(None, 1)[0].upper() if text.strip() else ""
        if verb in ("COMMIT", "END"):
            return self._commit(run)
        if verb == "ROLLBACK" and "TO" not in text.upper():
            self._changed = ()
        if verb not in _CHANGES:
            return run()
        tables = tuple(_TABLE.findall(text))[:1]
        if self.in_transaction or (self.isolation_level is not None and verb not in ("CREATE", "DROP")):
            done = run()
            self._changed += tables
            return done
        if verb == "CREATE" and self._has(*tables):
            return run()
        if verb == "CREATE":
            return self._durably(f"create {'+'.join(tables)}", run)
        self._changed = tables
        return self._commit(run)

    def _commit(self, run: Callable[[], Any]) -> Any:
        changed, self._changed = self._changed, ()
        if not changed:
            return run()
        return self._durably(f"commit {'+'.join(dict.fromkeys(changed))}", run)

    def _durably(self, label: str, run: Callable[[], Any]) -> Any:
        return run() if self._points is None else self._points.around(self._path, label, run)

    def _has(self, table: str) -> bool:
        query = "SELECT 1 FROM sqlite_master WHERE name = ?"
        return sqlite3.Cursor(self).execute(query, (table,)).fetchone() is not None


class WatchedCursor(sqlite3.Cursor):
    """A cursor of a `WatchedConnection`."""

    def execute(self, text: str, *values: Any) -> sqlite3.Cursor:
        return self.connection.statement(text, lambda: super(WatchedCursor, self).execute(text, *values))

    def executemany(self, text: str, *values: Any) -> sqlite3.Cursor:
        return self.connection.statement(text, lambda: super(WatchedCursor, self).executemany(text, *values))

    def executescript(self, script: str) -> sqlite3.Cursor:
        for text in filter(None, map(str.strip, script.split(";"))):
            self.execute(text)
        return self


def below(folder: Path) -> Callable[[Path], bool]:
    """Return what says whether a path is in the folder, or the folder itself."""
    whole = os.fspath(folder)
    return lambda path: os.fspath(path) == whole or os.fspath(path).startswith(whole + os.sep)
