"""The transparency log: an append-only table of entries, its Merkle tree in memory, its signed checkpoints.

The table is the truth and the tree follows it. A checkpoint is kept in the database before anyone sees it,
and at the next start the entries are held against the last one: a row changed or removed is found. Who also
rewrites the checkpoints lacks the key to sign them; who removes them is found by the phones, each of which
asks for consistency with the checkpoint that it saw last.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from covey_consent.errors import DamageError, RequestError, UnknownError
from covey_consent.models import LogEntry, PublishedCheckpoint
from covey_consent.store import Store
from covey_privacy import checkpoint
from covey_privacy.checkpoint import Checkpoint
from covey_privacy.consent import ConsistencyProof, Entries, Inclusion
from covey_privacy.errors import ServerError
from covey_privacy.merkle import Proof, Tree, leaf_hash
from covey_privacy.signatures import SigningKey

ENTRY_LIMIT = 2**16 - 1
"""An entry's bytes at most, as of C2SP tlog-tiles."""

PAGE_ENTRIES = 1024
PAGE_BYTES = 2**20


class Log:
    """The log of one registry, as long as its newest checkpoint says; `note` is that checkpoint.

    The tree may be ahead of it while the next one is being kept: proofs are for the published size.
    """

    def __init__(self, store: Store, origin: str, key: SigningKey) -> None:
        self._store, self._origin, self._key = store, origin, key
        self._tree = Tree()
        self._index: dict[bytes, int] = {}
        self._published = self._checkpoint()
        self.note = checkpoint.sign(self._published, key)

    def __len__(self) -> int:
        return self._published.size

    async def open(self) -> None:
        """Rebuild the tree from the table. Raises DamageError when the last checkpoint is over another."""
        async with self._store.session() as session:
            last = await session.scalar(
                select(PublishedCheckpoint).order_by(PublishedCheckpoint.size.desc()).limit(1)
            )
            await self._read(session)
        if last is not None:
            self._hold_against(last.note)
        await self._publish()

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        """A transaction that may append. What it appended is published once it has been committed."""
        async with self._store.lock:
            async with self._store.session.begin() as session:
                yield session
            await self._publish()

    async def append(self, session: AsyncSession, kind: bytes, body: bytes) -> int:
        """Add an entry in the caller's `write` transaction and return its index."""
        if len(kind + body) > ENTRY_LIMIT:
            raise RequestError(f"a log entry of {len(kind + body)} bytes; at most {ENTRY_LIMIT} are taken")
        last = await session.scalar(select(func.max(LogEntry.index)))
        index = 0 if last is None else last + 1
        session.add(LogEntry(index=index, entry=kind + body))
        await session.flush()
        return index

    def consistency_since(self, old: int) -> Proof:
        """Return the proof from a phone's last size to now, empty where there is nothing to prove."""
        return self._tree.consistency(old, len(self)) if 0 < old < len(self) else ()

    def consistency(self, old: int, size: int | None) -> ConsistencyProof:
        """Return the proof that the first `old` leaves begin the first `size`. Raises RequestError."""
        size = len(self) if size is None else size
        if not 0 <= old <= size <= len(self):
            raise RequestError(f"old={old}, size={size} arrived; 0 <= old <= size <= {len(self)} is needed")
        return ConsistencyProof(old, size, self._tree.consistency(old, size))

    def inclusion(self, leaf: bytes, size: int | None) -> Inclusion:
        """Return the place of the leaf hash in the first `size` leaves. Raises UnknownError."""
        size = len(self) if size is None else size
        index = self._index.get(leaf)
        if index is None or not index < size <= len(self):
            raise UnknownError(f"this leaf is not among the first {size} of the log's {len(self)} entries")
        return Inclusion(index, size, self._tree.inclusion(index, size))

    async def entries(self, start: int, end: int) -> Entries:
        """Return entries `start` to `end` (exclusive): fewer where they are too many for one answer."""
        if not 0 <= start <= end <= len(self):
            raise RequestError(f"entries {start} to {end} were asked for; there are {len(self)}")
        async with self._store.session() as session:
            rows = await _rows(session, start, min(end, start + PAGE_ENTRIES))
        sizes = itertools.accumulate(len(row.entry) for row in rows)
        fitting = sum(size <= PAGE_BYTES for size in sizes)
        return Entries(tuple(row.entry for row in rows[:fitting]))

    def _checkpoint(self) -> Checkpoint:
        return Checkpoint(self._origin, len(self._tree), self._tree.root())

    async def _read(self, session: AsyncSession) -> None:
        """Let the tree follow the table."""
        for row in await _rows(session, len(self._tree), None):
            index = len(self._tree)
            if row.index != index:
                raise DamageError(f"log entry {index} is missing; restore the database from its backup")
            leaf = leaf_hash(row.entry)
            self._index.setdefault(leaf, index)
            self._tree.append(leaf)

    async def _publish(self) -> None:
        """Sign, keep and show a checkpoint over what has been committed since the last one."""
        async with self._store.session.begin() as session:
            await self._read(session)
            head = self._checkpoint()
            note = checkpoint.sign(head, self._key)
            if await session.get(PublishedCheckpoint, head.size) is None:
                session.add(PublishedCheckpoint(size=head.size, note=note))
        self._published, self.note = head, note

    def _hold_against(self, note: str) -> None:
        try:
            kept = checkpoint.open_note(note, self._key.public)
        except ServerError as error:
            raise DamageError(f"{error}: is the key file the one this database was made with?") from None
        size = len(self._tree)
        if kept.size > size or self._tree.root(kept.size) != kept.root:
            raise DamageError(
                f"the log's {size} entries are not the {kept.size} that the last checkpoint was signed "
                "over: somebody changed the table; restore the database from its backup"
            )


async def _rows(session: AsyncSession, start: int, end: int | None) -> Sequence[LogEntry]:
    query = select(LogEntry).where(LogEntry.index >= start).order_by(LogEntry.index)
    if end is not None:
        query = query.where(LogEntry.index < end)
    return (await session.scalars(query)).all()
