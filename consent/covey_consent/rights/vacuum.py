"""The sweeper: after erasures it has the database's files rebuilt, so that nothing stays there."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from covey_consent.operations.supervision import Done, nothing
from covey_consent.rights.tables import Tombstone
from covey_consent.storage.store import Store


@dataclass(frozen=True, slots=True)
class Sweeper:
    """Looks for erasures every `look` seconds, and rebuilds at most once in `every` seconds."""

    store: Store
    look: float
    every: float

    async def run(self, done: Done = nothing) -> None:
        """Sweep until cancelled."""
        while True:
            wait = self.every if await self.sweep() else self.look
            done()
            await asyncio.sleep(wait)

    async def sweep(self) -> bool:
        """Rebuild the files where people were erased since the last time; say whether."""
        erased = await self.store.read(_unswept)
        if erased:
            await self.store.purge()
            await self.store.write(_mark, erased)
        return bool(erased)


def _unswept(session: Session) -> list[str]:
    return list(session.scalars(select(Tombstone.id).where(Tombstone.purged.is_(False))))


def _mark(session: Session, erased: list[str]) -> None:
    for id_ in erased:
        session.execute(update(Tombstone).where(Tombstone.id == id_).values(purged=True))
