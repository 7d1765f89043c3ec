"""The transparency log: an append-only table of entries, its Merkle tree in memory, its signed checkpoints.

The tree follows the table. A checkpoint is kept in the database before it is shown, and the next start checks
the entries against the last one, so that a changed or removed row is found. An attacker who also rewrites the
checkpoints lacks the key to sign them; removed ones are found by the phones, each of which asks for a proof
of consistency with the checkpoint that it saw last.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar, TypeVarTuple

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from covey_consent.errors import DamageError, RequestError, UnknownError
from covey_consent.storage.models import LogEntry, PublishedCheckpoint
from covey_consent.storage.store import Store
from covey_consent.storage.writer import after_commit
from covey_consent.transparency import cosignatures
from covey_privacy import checkpoint
from covey_privacy.checkpoint import Checkpoint
from covey_privacy.errors import ServerError
from covey_privacy.merkle import Proof, Tree, leaf_hash
from covey_privacy.note import VerifierKey
from covey_privacy.registry_messages import ConsistencyProof, Entries, Inclusion
from covey_privacy.signatures import SigningKey
from covey_privacy.tiles import ENTRY_LIMIT, HEIGHT, Tile, encode_bundle, encode_tile

T = TypeVar("T")
Args = TypeVarTuple("Args")

PAGE_ENTRIES = 1024
PAGE_BYTES = 2**20


class Head(NamedTuple):
    """The newest checkpoint: the entries it is over, and its note."""

    size: int
    note: str


class _Cosigned(NamedTuple):
    """A head, and the signature lines of the witnesses that cosigned it."""

    head: Head
    lines: Mapping[VerifierKey, str]


class Log:
    """The log of one registry, as long as its newest checkpoint says; `note` is that checkpoint, cosigned.

    The tree may be ahead of it while the next one is being kept: proofs are for the published size. What lies
    below that size never changes, so that others read the tree while the writer's thread appends to it.
    """

    def __init__(self, store: Store, origin: str, key: SigningKey) -> None:
        self._store, self._origin, self._key = store, origin, key
        self._tree = Tree()
        self._head = self._sign()
        self._cosigned = _Cosigned(self._head, {})
        self._listeners: tuple[Callable[[], object], ...] = ()

    def __len__(self) -> int:
        return self._head.size

    @property
    def head(self) -> Head:
        """The newest checkpoint, signed by the registry alone."""
        return self._head

    @property
    def note(self) -> str:
        """The newest checkpoint as a signed note, with the cosignatures that came so far."""
        return self._shown(self._head)

    def open(self) -> None:
        """Rebuild the tree from the table. Raises DamageError when the last checkpoint is over another."""
        with self._store.session() as session:
            last = session.scalar(
                select(PublishedCheckpoint).order_by(PublishedCheckpoint.size.desc()).limit(1)
            )
            self._read(session)
        if last is not None:
            self._hold_against(last.note)
        self._publish()

    def when_published(self, call: Callable[[], object]) -> None:
        """Have the writer's thread make this call after each new checkpoint."""
        self._listeners = (*self._listeners, call)

    async def cosign(self, head: Head, witness: VerifierKey, signature: bytes) -> None:
        """Keep a witness's signature, and show it beside the head while no newer one is cosigned."""
        await self._store.write(cosignatures.keep, head.size, witness, signature)
        if head.size >= self._cosigned.head.size:
            lines = self._cosigned.lines if self._cosigned.head == head else {}
            self._cosigned = _Cosigned(head, {**lines, witness: witness.line(signature)})

    async def write(self, work: Callable[[Session, *Args], T], *args: *Args) -> T:
        """Do as `Store.write`, and publish a checkpoint over what the work appended before returning."""
        return await self._store.write(self._publishing, work, args)

    def write_blocking(self, work: Callable[[Session, *Args], T], *args: *Args) -> T:
        """Do as `write`, for another thread than the event loop's."""
        return self._store.write_blocking(self._publishing, work, args)

    def append(self, session: Session, kind: bytes, body: bytes) -> int:
        """Add an entry in the caller's `write` and return its index."""
        return self.append_all(session, kind, [body])[0]

    def append_all(self, session: Session, kind: bytes, bodies: Sequence[bytes]) -> range:
        """Add entries of one kind in the caller's `write`, all at once, and return their indices."""
        longest = max(map(len, bodies), default=0) + len(kind)
        if longest > ENTRY_LIMIT:
            raise RequestError(f"a log entry of {longest} bytes; at most {ENTRY_LIMIT} are taken")
        last = session.scalar(select(func.max(LogEntry.index)))
        first = 0 if last is None else last + 1
        indices = range(first, first + len(bodies))
        entries = [kind + body for body in bodies]
        rows = [
            {"index": index, "entry": entry, "leaf": leaf_hash(entry)}
            for index, entry in zip(indices, entries, strict=True)
        ]
        if rows:
            session.execute(insert(LogEntry), rows)
        return indices

    def since(self, old: int, least: int = 0) -> tuple[str, Proof]:
        """Return the newest note and the proof from a phone's last size, empty with nothing to prove.

        With `least`, the newest cosigned note is returned where it has at least so many entries: a head that
        was just published has no cosignature yet.
        """
        head = self._head if least == 0 else self._newest(max(old, least))
        return self._shown(head), self.proof(old, head.size)

    def cosigned_note(self, least: int) -> str:
        """Return the newest cosigned note, where it has `least` entries, else the newest."""
        return self._shown(self._newest(least))

    def _newest(self, least: int) -> Head:
        cosigned = self._cosigned
        return cosigned.head if cosigned.lines and cosigned.head.size >= least else self._head

    def proof(self, old: int, size: int) -> Proof:
        """Return the proof from one published size to another, empty with nothing to prove."""
        return self._tree.consistency(old, size) if 0 < old < size else ()

    def consistency(self, old: int, size: int | None) -> ConsistencyProof:
        """Return the proof that the first `old` leaves begin the first `size`. Raises RequestError."""
        size = len(self) if size is None else size
        if not 0 <= old <= size <= len(self):
            raise RequestError(f"old={old}, size={size} arrived; 0 <= old <= size <= {len(self)} is needed")
        return ConsistencyProof(old, size, self._tree.consistency(old, size))

    async def inclusion(self, leaf: bytes, size: int | None = None) -> Inclusion:
        """Return the place of the leaf hash in the first `size` leaves. Raises UnknownError."""
        index = await self.find(leaf)
        return self._inclusion(index, len(self) if size is None else size)

    async def witnessed(self, leaf: bytes) -> tuple[str, Inclusion]:
        """Return a note over the leaf hash with its place: the newest cosigned one, else the newest.

        Raises UnknownError.
        """
        index = await self.find(leaf)
        head = self._head if index is None else self._newest(index + 1)
        return self._shown(head), self._inclusion(index, head.size)

    async def find(self, leaf: bytes) -> int | None:
        """Return where the leaf hash stands first below the newest checkpoint, None where it does not."""
        index = await self._store.read(_find, leaf)
        return index if index is not None and index < len(self) else None

    async def entries(self, start: int, end: int) -> Entries:
        """Return entries `start` to `end` (exclusive): fewer where they are too many for one answer."""
        if not 0 <= start <= end <= len(self):
            raise RequestError(f"entries {start} to {end} were asked for; there are {len(self)}")
        rows = await self._store.read(_rows, start, min(end, start + PAGE_ENTRIES))
        sizes = itertools.accumulate(len(row.entry) for row in rows)
        fitting = sum(size <= PAGE_BYTES for size in sizes)
        return Entries(tuple(row.entry for row in rows[:fitting]))

    async def tile(self, tile: Tile) -> bytes:
        """Return a tile or bundle that lies within the newest checkpoint. Raises UnknownError."""
        if tile.first + tile.width > len(self) >> HEIGHT * (tile.level or 0):
            raise UnknownError(f"{tile.path} reaches beyond the log's {len(self)} entries")
        if tile.level is not None:
            return encode_tile(self._tree, tile)
        rows = await self._store.read(_rows, tile.first, tile.first + tile.width)
        return encode_bundle([row.entry for row in rows])

    def _inclusion(self, index: int | None, size: int) -> Inclusion:
        if index is None or not index < size <= len(self):
            raise UnknownError(f"this leaf is not among the first {size} of the log's {len(self)} entries")
        return Inclusion(index, size, self._tree.inclusion(index, size))

    def _publishing(self, session: Session, work: Callable[[Session, *Args], T], args: tuple[*Args]) -> T:
        # Also where the work appends nothing: it may answer for what an earlier write failed to publish.
        after_commit(session, self._publish)
        return work(session, *args)

    def _shown(self, head: Head) -> str:
        cosigned = self._cosigned
        return "".join((head.note, *cosigned.lines.values())) if cosigned.head == head else head.note

    def _sign(self) -> Head:
        head = Checkpoint(self._origin, len(self._tree), self._tree.root())
        return Head(head.size, checkpoint.sign_checkpoint(head, self._key))

    def _read(self, session: Session) -> None:
        """Let the tree follow the table."""
        query = select(LogEntry.index, LogEntry.entry).where(LogEntry.index >= len(self._tree))
        streamed = query.order_by(LogEntry.index).execution_options(yield_per=PAGE_ENTRIES)
        with session.execute(streamed) as rows:
            for expected, (index, entry) in enumerate(rows, len(self._tree)):
                if index != expected:
                    raise DamageError(
                        f"log entry {expected} is missing; restore the database from its backup"
                    )
                self._tree.append(leaf_hash(entry))

    def _publish(self) -> None:
        """Sign, keep and show a checkpoint over what has been committed since the last one.

        It runs in the writer's thread: once for a group, whose further calls find nothing new.
        """
        with self._store.session.begin() as session:
            self._read(session)
            if len(self._tree) == len(self):
                return
            head = self._sign()
            if session.get(PublishedCheckpoint, head.size) is None:
                session.add(PublishedCheckpoint(size=head.size, note=head.note))
        self._head = head
        for call in self._listeners:
            call()

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


def _find(session: Session, leaf: bytes) -> int | None:
    return session.scalar(select(func.min(LogEntry.index)).where(LogEntry.leaf == leaf))


def _rows(session: Session, start: int, end: int) -> Sequence[LogEntry]:
    query = select(LogEntry).where(LogEntry.index >= start, LogEntry.index < end).order_by(LogEntry.index)
    return session.scalars(query).all()
