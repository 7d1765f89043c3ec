"""Check that the registry can write: a row is committed like any other write, and the disk has room left."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from sqlalchemy.orm import Mapped, Session, mapped_column

from covey_consent.errors import UnavailableError
from covey_consent.storage.models import Base
from covey_consent.storage.store import Store

AGE_SECONDS = 1.0
"""How long a commit shows that the registry can write: anyone may ask, and each commit waits for the disk."""

LEAST_BYTES = 16 * 2**20
"""Room that has to be left beside SQLite's file, which grows by more than the row that is changed here."""

ONLY = 1
"""The key of the one row."""


class WriteProbe(Base):
    """One row that is changed (Unix seconds) to see whether the database takes a write."""

    __tablename__ = "write_probe"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[int]


class WriteCheck:
    """Checks that the database takes writes, at most once in `AGE_SECONDS`; `clock` gives Unix seconds."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store, self._clock = store, clock
        self._writing: asyncio.Task[float] | None = None

    async def require(self, seconds: float) -> None:
        """Raise UnavailableError unless a commit succeeded just now, waiting so long at most."""
        if self._writing is None or not self._shows(self._writing):
            self._writing = asyncio.create_task(self._write())
            # An error that nobody waits for any more is taken note of.
            self._writing.add_done_callback(lambda task: task.cancelled() or task.exception())
        try:
            async with asyncio.timeout(seconds):
                # Others may wait for the same one, and it goes on when this request does not.
                await asyncio.shield(self._writing)
        except TimeoutError:
            raise UnavailableError(f"the database took no write within {seconds:.0f} s") from None
        room = self._store.free_bytes()
        if room is not None and room < LEAST_BYTES:
            raise UnavailableError(
                f"the database's disk has {room // 1024} KiB left and needs {LEAST_BYTES // 1024}: make room"
            )

    async def _write(self) -> float:
        await self._store.write(_touch, int(self._clock()))
        return time.monotonic()

    @staticmethod
    def _shows(writing: asyncio.Task[float]) -> bool:
        """Say whether the commit runs, or succeeded not long ago."""
        if not writing.done():
            return True
        failed = writing.cancelled() or writing.exception() is not None
        return not failed and time.monotonic() - writing.result() <= AGE_SECONDS


def _touch(session: Session, now: int) -> None:
    session.merge(WriteProbe(id=ONLY, at=now))
