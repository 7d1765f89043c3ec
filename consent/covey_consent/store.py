"""The database: threads that read, and one that writes.

One process serves one database: the thread that orders writes lives in it, and so do the choices at hand.
Unique keys hold beyond it, so that a second process fails instead of doing anything twice.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from sqlite3 import Connection as SQLite
from typing import Any, TypeVar, TypeVarTuple

from sqlalchemy import Connection, Engine, Select, TableValuedAlias, cast, create_engine, event, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import InstrumentedAttribute, Session, sessionmaker

from covey_consent.models import Base
from covey_consent.writer import Writer

T = TypeVar("T")
K = TypeVar("K")
Args = TypeVarTuple("Args")

READERS = 4
"""Threads that read; with the writer they take the connections that SQLAlchemy keeps open."""

QUERY_KEYS = 500
"""Keys that one query asks for: below every database's bound on variables."""


class Store:
    """Sessions over one database, awaited from the event loop."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.session = sessionmaker(engine, expire_on_commit=False)
        self._writer = Writer(engine)
        self._readers = ThreadPoolExecutor(READERS, "registry-reader")

    @classmethod
    def open(cls, url: str, *, durable: bool = True) -> Store:
        """Connect to the database and create the tables that are missing.

        Not `durable`, SQLite does not wait for the disk: for a database that no one misses.
        """
        engine = create_engine(url, hide_parameters=True)  # An error's text names no one.
        if engine.dialect.name == "sqlite":
            event.listen(engine, "connect", partial(_prepare_sqlite, durable))
            event.listen(engine, "begin", _begin)
        Base.metadata.create_all(engine)
        return cls(engine)

    async def close(self) -> None:
        """Commit what was handed over, end every thread and close every connection."""
        await asyncio.to_thread(self._close)

    async def read(self, work: Callable[[Session, *Args], T], *args: *Args) -> T:
        """Return what the work reads, all of it at one moment."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, self._read, partial(_call, work, args))

    async def write(self, work: Callable[[Session, *Args], T], *args: *Args) -> T:
        """Return the work's result once it is committed; undo it where it raises.

        Other work may share the transaction. Where the COMMIT fails, its error is everyone's.
        """
        return await asyncio.wrap_future(self._writer.submit(partial(_call, work, args)))

    def _read(self, work: Callable[[Session], T]) -> T:
        with self.session() as session:
            return work(session)

    def _close(self) -> None:
        self._writer.close()
        self._readers.shutdown()
        self._engine.dispose()


def all_in(
    session: Session, query: Select[T], column: InstrumentedAttribute[K], keys: Iterable[K]
) -> list[T]:
    """Return the query's results where `column` is one of `keys`, however many those are."""
    keys = list(keys)
    found: list[T] = []
    for start in range(0, len(keys), QUERY_KEYS):
        found += session.scalars(query.where(column.in_(keys[start : start + QUERY_KEYS])))
    return found


def listed(session: Session, keys: Iterable[str]) -> TableValuedAlias:
    """Return the keys, however many, as a table with the one column `value`: one parameter holds them all."""
    data = json.dumps([*keys])
    if session.get_bind().dialect.name == "sqlite":
        return func.json_each(data).table_valued("value", name="listed")
    return func.jsonb_array_elements_text(cast(data, JSONB)).table_valued("value", name="listed")


def _call(work: Callable[[Session, *Args], T], args: tuple[*Args], session: Session) -> T:
    return work(session, *args)


def _prepare_sqlite(durable: bool, connection: SQLite, _record: Any) -> None:
    """Let readers read beside the writer; a durable commit is on disk before anything is answered."""
    # Python's driver begins no transaction for a read or a savepoint: `_begin` does.
    connection.isolation_level = None
    synchronous = f"synchronous={'FULL' if durable else 'OFF'}"
    for pragma in ("journal_mode=WAL", synchronous, "foreign_keys=ON", "busy_timeout=5000"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")
