"""The database: sessions that read, and one writer at a time.

One process serves one database: the lock that orders writers lives in it. Unique keys hold beyond it, so that
a second process fails instead of doing anything twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial
from sqlite3 import Connection
from typing import Any, TypeVar

from sqlalchemy import Select, event
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import InstrumentedAttribute

from covey_consent.models import Base

T = TypeVar("T")
K = TypeVar("K")

QUERY_KEYS = 500
"""Keys that one query asks for: below every database's bound on variables."""


class Store:
    """Sessions over one database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self.session = async_sessionmaker(engine, expire_on_commit=False)
        self.lock = asyncio.Lock()

    @classmethod
    async def open(cls, url: str, *, durable: bool = True) -> Store:
        """Connect to the database and create the tables that are missing.

        Not `durable`, SQLite does not wait for the disk: for a database that no one misses.
        """
        engine = create_async_engine(url)
        if engine.dialect.name == "sqlite":
            event.listen(engine.sync_engine, "connect", partial(_prepare_sqlite, durable))
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        return cls(engine)

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        """A transaction: committed at the end of the block, rolled back when it raises."""
        async with self.lock, self.session.begin() as session:
            yield session


async def all_in(
    session: AsyncSession, query: Select[T], column: InstrumentedAttribute[K], keys: Iterable[K]
) -> list[T]:
    """Return the query's results where `column` is one of `keys`, however many those are."""
    keys = list(keys)
    found: list[T] = []
    for start in range(0, len(keys), QUERY_KEYS):
        found += await session.scalars(query.where(column.in_(keys[start : start + QUERY_KEYS])))
    return found


def _prepare_sqlite(durable: bool, connection: Connection, _record: Any) -> None:
    """Let readers read beside the writer; a durable commit is on disk before anything is answered."""
    synchronous = f"synchronous={'FULL' if durable else 'OFF'}"
    for pragma in ("journal_mode=WAL", synchronous, "foreign_keys=ON", "busy_timeout=5000"):
        connection.execute(f"PRAGMA {pragma}")
