"""What the store keeps of rounds in one message, and for how long.

Messages and secrets are bound to one start of the phone: a restored backup, or a copy of the store on another
phone, goes on with nothing of another start.

| kept | until |
|---|---|
| the prepared vector | the message is made, the window closes, the owner's choices change, or a new start |
| the message | it is acknowledged, its window closes, or the phone starts again |
| that the round was joined, its leaf and a retraction | for good: no round is joined twice |
| a decryptor's keys and shares | the sum is opened, the deadline, or the phone starts again |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeVar

from covey_privacy import wire
from covey_privacy.certificate import Claim
from covey_privacy.errors import PrivacyError
from covey_privacy.manifest import Windows
from covey_privacy.secagg.messages import Leaf, Retraction
from covey_privacy.signatures import DOCUMENT_LIMIT
from covey_privacy.tickets import IssuerKeys
from covey_sdk.errors import StoreError
from covey_sdk.store import Store
from covey_sdk.stored_value import StoredValue

Record = TypeVar("Record", bound="Prepared | Contributed | DecryptorRecord")
T = TypeVar("T")

PREPARED, CONTRIBUTED, JOINED, DUTY = "prepared", "contributed", "joined", "duty"

_LAST = "last-round/"

Manifest = Annotated[bytes, wire.Size(1, DOCUMENT_LIMIT)]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A round that was checked: `vector` is what will be said in it, 32-bit integers without noise.

    `files` is the digest of the round's files, `send_at` the time at which the message leaves (UTC ms).
    """

    boot: wire.Bytes32
    files: wire.Bytes32
    issuer_keys: IssuerKeys
    vector: Annotated[bytes, wire.Size(4, 4 * 2**24, 4)]
    send_at: wire.U64


@dataclass(frozen=True, slots=True)
class Contributed:
    """The message that was made and not acknowledged yet."""

    boot: wire.Bytes32
    files: wire.Bytes32
    message: Annotated[bytes, wire.Size(1, 2**27)]


@dataclass(frozen=True, slots=True)
class Joined:
    """What stays of a round: that this phone contributed, the leaf that is public of it, and what its round
    key signed before its secret was deleted: a claim to the key, and a retraction."""

    manifest: Manifest
    leaf: Leaf
    claim: Claim
    retraction: Retraction


@dataclass(frozen=True, slots=True)
class DecryptorRecord:
    """A round that the phone volunteered for.

    `offer` is the message to the registry, empty once the registry has it. `state` holds the `DecryptorKeys`
    until `committee`, the round's committee file, is known, and then what `Decryptor.dump` gives; `seat` is
    then the decryptor's number.
    """

    boot: wire.Bytes32
    manifest: Manifest
    issuer_keys: IssuerKeys
    offer: Annotated[bytes, wire.Size(0, 2**12)]
    committee: Annotated[bytes, wire.Size(0, 2**22)]
    state: Annotated[bytes, wire.Size(1, 2**27)]
    seat: wire.U32 = 0


@dataclass(frozen=True, slots=True)
class _Open:
    """A round that something is kept of, and its purposes, in POSIX seconds: until when contributions are
    taken and can be retracted, and when its last window closes."""

    round_id: wire.Name
    purposes: wire.Names
    until: wire.U64
    closes: wire.U64


@dataclass(frozen=True, slots=True)
class _Pending:
    """A retraction that the registry has not heard of."""

    round_id: wire.Name
    retraction: Retraction


@dataclass(frozen=True, slots=True)
class _State:
    open: Annotated[tuple[_Open, ...], wire.Size(0, 10_000)] = ()
    pending: Annotated[tuple[_Pending, ...], wire.Size(0, 10_000)] = ()


class RoundRecords:
    """The records in a store, as this `boot` (32 bytes) of the phone may go on with them."""

    def __init__(self, store: Store, boot: bytes) -> None:
        self._store, self.boot = store, boot
        self._state = StoredValue(store, "rounds", _State())

    def prepared(self, round_id: str) -> Prepared | None:
        """Return what was prepared for a round since this start of the phone."""
        return self._read(Prepared, round_id, PREPARED)

    def contributed(self, round_id: str) -> Contributed | None:
        """Return the message that waits for its acknowledgement, made since this start of the phone."""
        return self._read(Contributed, round_id, CONTRIBUTED)

    def duty(self, round_id: str) -> DecryptorRecord | None:
        """Return what the phone does for a round as a decryptor, since this start of the phone."""
        return self._read(DecryptorRecord, round_id, DUTY)

    def joined(self, round_id: str) -> Joined | None:
        """Return what stays of a round that this phone contributed to, at whatever start."""
        return read_joined(self._store, round_id)

    def open(self, round_id: str, purposes: tuple[str, ...], windows: Windows) -> None:
        """Remember that something is kept of a round with these windows."""
        state = self._state.read()
        if all(each.round_id != round_id for each in state.open):
            one = _Open(round_id, purposes, windows.contribute, windows.open)
            self._state.write(_State((*state.open, one), state.pending))

    def prepare(self, round_id: str, prepared: Prepared) -> None:
        """Keep what was prepared."""
        self._store.put_round(round_id, PREPARED, wire.encode(prepared))

    def last(self, purposes: tuple[str, ...]) -> Joined | None:
        """Return what stays of the round that this phone joined last for a purpose set."""
        round_id = self._store.get(_LAST + "+".join(purposes))
        return self.joined(round_id.decode()) if round_id else None

    def contribute(
        self, purposes: tuple[str, ...], round_id: str, contributed: Contributed, joined: Joined
    ) -> None:
        """Keep a message, in the transaction that charges for it; what was prepared for it goes."""
        self._store.put(_LAST + "+".join(purposes), round_id.encode())
        self._store.put_round(round_id, CONTRIBUTED, wire.encode(contributed))
        self._store.put_round(round_id, JOINED, wire.encode(joined))
        self._store.delete_round(round_id, PREPARED)

    def acknowledge(self, round_id: str) -> None:
        """Forget a message that arrived."""
        self._store.delete_round(round_id, CONTRIBUTED)

    def put_duty(self, round_id: str, duty: DecryptorRecord) -> None:
        """Keep where a decryptor stands."""
        self._store.put_round(round_id, DUTY, wire.encode(duty))

    def end_duty(self, round_id: str) -> None:
        """Forget a decryptor's keys and shares."""
        self._store.delete_round(round_id, DUTY)

    def _read(self, cls: type[Record], round_id: str, name: str) -> Record | None:
        data = self._store.get_round(round_id, name)
        record = _decoded(cls, data) if data else None
        if record is None or record.boot == self.boot:
            return record
        self._store.delete_round(round_id, name)
        return None


def read_joined(store: Store, round_id: str) -> Joined | None:
    """Return what stays of a round that this phone contributed to, at whatever start."""
    data = store.get_round(round_id, JOINED)
    return _decoded(Joined, data) if data else None


def forget_prepared(store: Store) -> None:
    """Forget every vector that was prepared: the owner has changed what may be said of them."""
    for each in _state(store).read().open:
        store.delete_round(each.round_id, PREPARED)


def sweep(store: Store, granted: Callable[[str], bool], now: int) -> list[Claim]:
    """Leave every round of a purpose set that is no longer granted, in the caller's transaction.

    A contribution that may not be included yet is to be retracted: see `retractions`. `now` is in POSIX
    seconds.

    Returns:
        Claims of those contributions.
    """
    claims: list[Claim] = []
    stored = _state(store)
    state = stored.read()
    kept, pending = list[_Open](), list(state.pending)
    for each in state.open:
        if all(map(granted, each.purposes)):
            kept.append(each)
            continue
        data = store.get_round(each.round_id, JOINED)
        if data and each.until > now:
            joined = _decoded(Joined, data)
            pending.append(_Pending(each.round_id, joined.retraction))
            claims.append(joined.claim)
        for name in (PREPARED, CONTRIBUTED, DUTY):
            store.delete_round(each.round_id, name)
    if (tuple(kept), tuple(pending)) != (state.open, state.pending):
        stored.write(_State(tuple(kept), tuple(pending)))
    return claims


def expire(store: Store, now: int) -> None:
    """Delete what is of no use any more at `now` (POSIX seconds), in the caller's transaction.

    Prepared vectors and messages go when no contribution is taken any more, a decryptor's keys and shares
    when the last window has closed.
    """
    stored = _state(store)
    state = stored.read()
    for each in state.open:
        if each.until < now:
            for name in (PREPARED, CONTRIBUTED):
                store.delete_round(each.round_id, name)
        if each.closes < now:
            store.delete_round(each.round_id, DUTY)
    kept = tuple(each for each in state.open if each.closes >= now)
    if kept != state.open:
        stored.write(_State(kept, state.pending))


def retractions(store: Store) -> dict[str, bytes]:
    """Return the retractions that the registry has not heard of, by round id."""
    return {each.round_id: wire.encode(each.retraction) for each in _state(store).read().pending}


def end_retraction(store: Store, round_id: str) -> None:
    """Forget a retraction that the registry has, or refused for good."""
    with store.transaction():
        stored = _state(store)
        state = stored.read()
        pending = tuple(each for each in state.pending if each.round_id != round_id)
        stored.write(_State(state.open, pending))


def _state(store: Store) -> StoredValue[_State]:
    return StoredValue(store, "rounds", _State())


def _decoded(cls: type[T], data: bytes) -> T:
    try:
        return wire.decode(cls, data, 2**28)
    except PrivacyError as error:
        raise StoreError(f"what the store keeps of a round cannot be read: {error}") from None
