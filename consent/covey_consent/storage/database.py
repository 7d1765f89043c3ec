"""The database, SQLite or PostgreSQL: connections that read, and the one that writes.

The connection that writes holds the database's lock for as long as it lives. A second process fails at its
first write; a process that loses the lock loses the connection, and with it the transaction under way.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    InterfaceError,
    InternalError,
    OperationalError,
)

from covey_consent.errors import DamageError, RequestError, UnavailableError
from covey_consent.storage import private_files
from covey_consent.storage.file_lock import FileLock, taken

if TYPE_CHECKING:
    import psycopg

READERS = 4
"""Connections that read, at most."""

PATIENCE_SECONDS = 5
"""How long to wait for a connection, or for a lock that another holds."""

CACHE_KIB = 2**16
"""Page cache of each connection to SQLite."""

LOCK = int.from_bytes(b"covey")
"""The registry's advisory lock in a PostgreSQL database."""

FAILURES = (OperationalError, InterfaceError, InternalError)
"""Failures of the database rather than of a statement: the whole transaction may be lost."""

READ_ONLY = "25006"
"""PostgreSQL's code for a write to a read-only server."""

PASSING = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY}
    | {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PROTOCOL}
)
"""SQLite's failures that may pass. Its other codes are programming errors."""


@dataclass(frozen=True, slots=True)
class Database:
    """Two engines over one database: `readers` sees all of it at one moment, `writer` has one connection."""

    readers: Engine
    writer: Engine

    def close(self) -> None:
        """Close every connection, and with the writer's its lock."""
        self.readers.dispose()
        self.writer.dispose()


def connect(url: str, *, durable: bool = True) -> Database:
    """Return the database at the URL, to which nothing has connected yet. Raises DamageError for others.

    Without `durable`, commits do not wait for the disk (no fsync): for simulations and benchmarks.
    """
    try:
        where = make_url(url)
    except ArgumentError:
        raise DamageError("the database's URL cannot be read; sqlite:///FILE or postgresql://...") from None
    match where.get_backend_name():
        case "sqlite" if where.database and where.database != ":memory:":
            return _sqlite(where, Path(where.database), durable)
        case "postgresql":
            return _postgresql(where.set(drivername="postgresql+psycopg"), durable)
    raise DamageError(f"{where.drivername} is asked for; it takes sqlite:///FILE or postgresql://...")


@contextmanager
def answering() -> Iterator[None]:
    """Turn database failures into UnavailableError, and values that it cannot hold into RequestError."""
    try:
        yield
    except DataError as error:
        raise RequestError("the request holds a value that no database takes, such as a NUL") from error
    except DBAPIError as error:
        # A full disk undoes the transaction, and then the savepoint's own undoing fails as well.
        if not any(map(_may_pass, _failures(error))):
            raise
        logging.getLogger(__name__).warning("the database fails: %s", error.orig)
        raise UnavailableError(
            "the database does not answer, or has no room; nothing is half-written: try again later"
        ) from error


def _failures(error: BaseException | None) -> Iterator[DBAPIError]:
    """Yield what failed, and what had failed before it."""
    while error is not None:
        if isinstance(error, DBAPIError):
            yield error
        error = error.__context__


def _may_pass(error: DBAPIError) -> bool:
    if isinstance(error.orig, sqlite3.Error):
        return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in PASSING
    # A server that has become a standby refuses every write until it is promoted, or the URL is changed.
    standby = getattr(error.orig, "sqlstate", None) == READ_ONLY
    return standby or isinstance(error, OperationalError | InterfaceError)


def _sqlite(url: URL, path: Path, durable: bool) -> Database:
    engine = partial(create_engine, url, hide_parameters=True, max_overflow=0)
    database = Database(engine(pool_size=READERS), engine(pool_size=1))
    for each in (database.readers, database.writer):
        event.listen(each, "connect", partial(_prepare_sqlite, durable))
        event.listen(each, "begin", _begin)
        event.listen(each, "do_connect", lambda *_: _make_private(path))
    # The kernel frees it with the process. A lock of SQLite's own would stand in the readers' way.
    lock = FileLock(path.with_name(f"{path.name}-lock"))
    event.listen(database.writer, "connect", partial(_or_close, lambda _: lock.take()))
    event.listen(database.writer, "close", lambda *_: lock.release())
    return database


def _make_private(path: Path) -> None:
    """Let the database's owner alone read it. SQLite gives the files that it makes beside it its mode."""
    if path.parent.is_dir():
        private_files.create(path)
        for beside in ("-wal", "-shm", "-journal", "-lock"):
            private_files.narrow(path.with_name(path.name + beside))


def _prepare_sqlite(durable: bool, connection: sqlite3.Connection, _record: Any) -> None:
    """Let readers read beside the writer; a durable commit is on disk before anything is answered."""
    # Python's driver begins no transaction for a read or a savepoint: `_begin` does.
    connection.isolation_level = None
    synchronous = f"synchronous={'FULL' if durable else 'OFF'}"
    patience = f"busy_timeout={PATIENCE_SECONDS * 1000}"
    for pragma in (patience, "journal_mode=WAL", synchronous, "foreign_keys=ON", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _postgresql(url: URL, durable: bool) -> Database:
    # Both ends notice within seconds that the other is gone: the server, so that it frees the lock.
    noticing = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 2}
    arguments = {**noticing, "tcp_user_timeout": 20_000, "connect_timeout": PATIENCE_SECONDS}
    engine = partial(
        create_engine, url, hide_parameters=True, max_overflow=0, pool_pre_ping=True, connect_args=arguments
    )
    at_one_moment = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    database = Database(
        engine(pool_size=READERS, execution_options=at_one_moment),
        # Only this connection writes while it holds the lock, so that a stricter level adds nothing.
        engine(pool_size=1, isolation_level="READ COMMITTED"),
    )
    for each in (database.readers, database.writer):
        event.listen(each, "connect", partial(_or_close, partial(_prepare_postgresql, durable)))
    event.listen(database.writer, "connect", partial(_or_close, _lock_postgresql))
    return database


def _prepare_postgresql(durable: bool, connection: psycopg.Connection[Any]) -> None:
    for name, value in {
        "lock_timeout": f"{PATIENCE_SECONDS}s",
        "tcp_keepalives_idle": "10",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "2",
    }.items():
        connection.execute("SELECT set_config(%s, %s, false)", (name, value))
    if not durable:
        connection.execute("SET synchronous_commit = off")
    elif connection.execute("SHOW synchronous_commit").fetchone() == ("off",):
        connection.execute("SET synchronous_commit = on")


def _lock_postgresql(connection: psycopg.Connection[Any]) -> None:
    from psycopg.errors import LockNotAvailable

    try:
        connection.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
    except LockNotAvailable:
        raise taken() from None


def _or_close(act: Callable[[Any], None], connection: Any, _record: Any) -> None:
    """Act on a new connection, and leave none open that it failed on."""
    with ExitStack() as on_failure:
        on_failure.callback(connection.close)
        act(connection)
        connection.commit()
        on_failure.pop_all()


def purge(engine: Engine) -> None:
    """Have deleted rows leave the database's files, as far as the database can. Outside of any transaction.

    SQLite zeroes what it deletes (`secure_delete`), but copies of rows that moved between pages stay, as do
    those in its write-ahead log: the file is rebuilt and that log emptied. PostgreSQL frees the room of
    deleted rows for reuse; its own write-ahead log is a backup like others. Backups and replicas keep their
    own copies for as long as the operator keeps them.
    """
    if engine.dialect.name != "sqlite":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM")
        return
    # A connection of SQLAlchemy's own would begin a transaction first.
    bare = engine.raw_connection()
    try:
        cursor = bare.cursor()
        cursor.execute("VACUUM")
        busy, *_ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        bare.close()
    if busy:
        raise DamageError(
            "another process reads the database for long: its write-ahead log cannot be emptied"
        )
