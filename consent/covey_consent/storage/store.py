"""The store: threads that read the database, and one that writes it.

One process serves one database: its writer thread orders all writes, and its cache of standing choices is
kept current by them. The database's lock keeps a second process from writing; see `database`.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar, TypeVarTuple

import orjson
from sqlalchemy import Select, SelectBase, String, TableValuedAlias, cast, func, literal, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import InstrumentedAttribute, Session, sessionmaker

from covey_consent.storage import database, schema
from covey_consent.storage.database import READERS, Database, answering, purge
from covey_consent.storage.writer import Writer

T = TypeVar("T")
K = TypeVar("K")
Args = TypeVarTuple("Args")

QUERY_KEYS = 500
"""Keys that one query asks for: below every database's bound on variables."""


class Store:
    """Sessions over one database, awaited from the event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.session = sessionmaker(database.writer, expire_on_commit=False)
        """Sessions that write: for the writer's thread, and for opening the registry before it starts."""
        self.reading = sessionmaker(database.readers, expire_on_commit=False)
        """Sessions that read at one moment, also beside a registry that serves."""
        self._writer = Writer(database.writer)
        self._readers = ThreadPoolExecutor(READERS, "registry-reader")

    @classmethod
    def open(cls, url: str, *, durable: bool = True) -> Store:
        """Connect to the database; where it is empty, create its tables. See `connect` on `durable`.

        Raises DamageError where its tables are another revision's, UnavailableError where it does not answer.
        """
        opened = database.connect(url, durable=durable)
        with ExitStack() as on_failure:
            on_failure.callback(opened.close)
            with answering():
                schema.require(opened)
            on_failure.pop_all()
        return cls(opened)

    async def close(self) -> None:
        """Commit what was handed over, end every thread and close every connection."""
        await asyncio.to_thread(self.dispose)

    async def read(self, work: Callable[[Session, *Args], T], *args: *Args) -> T:
        """Return what the work reads, all of it at one moment. Raises UnavailableError."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, self._read, _bind(work, args))

    async def write(self, work: Callable[[Session, *Args], T], *args: *Args) -> T:
        """Return the work's result once it is committed; undo it where it raises.

        Other work may share the transaction. Where the COMMIT fails, its error is everyone's:
        UnavailableError where the database does, of which a lost answer is one kind. Do the same again then.
        """
        return await asyncio.wrap_future(self._writer.submit(_bind(work, args)))

    def write_blocking(self, work: Callable[[Session, *Args], T], *args: *Args) -> T:
        """Do as `write`, for another thread than the event loop's: it waits for the commit."""
        return self._writer.submit(_bind(work, args)).result()

    async def purge(self) -> None:
        """Have deleted rows leave the database's files; see `database.purge`. Writes wait meanwhile."""
        await asyncio.wrap_future(self._writer.alone(purge))

    def free_bytes(self) -> int | None:
        """Return the room left on the disk of SQLite's file, None for a server, whose disk is not seen."""
        if self._database.readers.dialect.name != "sqlite":
            return None
        return shutil.disk_usage(Path(self._database.readers.url.database or ".").absolute().parent).free

    def _read(self, work: Callable[[Session], T]) -> T:
        with answering(), self.reading() as session:
            return work(session)

    def dispose(self) -> None:
        """Do as `close`, where no event loop runs."""
        self._writer.close()
        self._readers.shutdown()
        self._database.close()


def select_in(
    session: Session, query: Select[T], column: InstrumentedAttribute[K], keys: Iterable[K]
) -> list[T]:
    """Return the query's results where `column` is one of `keys`, however many those are."""
    keys = list(keys)
    found: list[T] = []
    for start in range(0, len(keys), QUERY_KEYS):
        found += session.scalars(query.where(column.in_(keys[start : start + QUERY_KEYS])))
    return found


def key_table(session: Session, keys: Iterable[str]) -> TableValuedAlias:
    """Return the keys, however many, as a table with the one column `value`: one parameter holds them all."""
    data = json.dumps([*keys])
    if session.get_bind().dialect.name == "sqlite":
        keys_of = func.json_each(data)
    else:
        keys_of = func.jsonb_array_elements_text(cast(literal(data, String), JSONB))
    return keys_of.table_valued("value", name="keys")


def rows_as_json(session: Session, query: SelectBase) -> list[list[Any]]:
    """Return the query's rows, of texts and whole numbers, however many: one JSON value holds them all.

    SQLite's driver releases the GIL at each row, and beside a busy thread waits to get it back each time:
    1,000 rows took 3.6 s, and take 0.02 s as one value.
    """
    columns = query.subquery().c
    if session.get_bind().dialect.name == "sqlite":
        value = func.json_group_array(func.json_array(*columns))
    else:
        value = func.coalesce(cast(func.json_agg(func.json_build_array(*columns)), String), "[]")
    rows: list[list[Any]] = orjson.loads(session.scalars(select(value)).one())
    return rows


def _bind(work: Callable[[Session, *Args], T], args: tuple[*Args]) -> Callable[[Session], T]:
    return lambda session: work(session, *args)
