"""The rounds that this phone is in: where it stands in each, what it answered, and how it leaves one.

What is kept of a round dies with this start of the phone: a restored backup must not answer twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated

from covey_privacy import wire
from covey_privacy.errors import ServerError
from covey_privacy.rules import Rule
from covey_privacy.signatures import DOCUMENT_LIMIT
from covey_privacy.tickets import IssuerKeys
from covey_sdk.store import Store

_ADVERTISE = "advertise"
_JOINED = "joined"
_LAST = "round/"


@dataclass(frozen=True, slots=True)
class Joined:
    """A round that the phone is in: its terms, and where its participant stands."""

    boot: wire.Bytes32
    manifest: Annotated[bytes, wire.Size(1, DOCUMENT_LIMIT)]
    issuer_keys: IssuerKeys
    participant: Annotated[bytes, wire.Size(1, 2**24)]

    def at(self, participant: bytes) -> Joined:
        """Return the round with its participant further on."""
        return replace(self, participant=participant)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a step answered, and to which request."""

    request: wire.Bytes32
    reply: Annotated[bytes, wire.Size(1, 2**26)]


class Rounds:
    """The rounds in a store, as this `boot` (32 bytes) of the phone may go on with them."""

    def __init__(self, store: Store, boot: bytes) -> None:
        self._store = store
        self._boot = boot

    def joined(self, round_id: str) -> Joined | None:
        """Return the round as this start of the phone joined it; one of another start is burnt."""
        data = self._store.get_round(round_id, _JOINED)
        joined = wire.decode(Joined, data) if data else None
        if joined and joined.boot != self._boot:
            _forget(self._store, round_id)
            return None
        return joined

    def join(self, round_id: str, manifest: bytes, issuer_keys: IssuerKeys, participant: bytes) -> None:
        """Write down that the phone is in a round."""
        self.move(round_id, Joined(self._boot, manifest, issuer_keys, participant))

    def move(self, round_id: str, joined: Joined) -> None:
        """Write down where the phone stands in a round."""
        self._store.put_round(round_id, _JOINED, wire.encode(joined))

    def last(self, purposes: tuple[str, ...]) -> Joined | None:
        """Return the round that was joined last for a purpose set, as far as it is still known."""
        round_id = self._store.get(_last(purposes))
        return self.joined(round_id.decode()) if round_id else None

    def leave(self, purposes: tuple[str, ...], for_round: str) -> None:
        """Forget the last round of a purpose set, for another: a phone is in one at a time."""
        name = _last(purposes)
        last = self._store.get(name)
        if last:
            _forget(self._store, last.decode())
        self._store.put(name, for_round.encode())

    def answered(self, round_id: str, name: str, request: bytes) -> bytes | None:
        """Return what a step answered to this request, None where nothing was asked.

        Raises ServerError when the step was asked for with another request.
        """
        data = self._store.get_round(round_id, name)
        if data is None:
            return None
        answer = wire.decode(_Answer, data)
        if answer.request != request:
            raise ServerError(
                f"step {name!r} of round {round_id!r} was asked for twice, differently", rule=Rule.STEP_ONCE
            )
        return answer.reply

    def answer(self, round_id: str, name: str, request: bytes, reply: bytes) -> bytes:
        """Write a step's answer down and return it."""
        self._store.put_round(round_id, name, wire.encode(_Answer(request, reply)))
        return reply


def sweep(store: Store, granted: Callable[[str], bool]) -> None:
    """Leave every round of a purpose set that is no longer granted, in the caller's transaction."""
    for name in store.names(_LAST):
        if not all(map(granted, name.removeprefix(_LAST).split("+"))):
            _forget(store, (store.get(name) or b"").decode())
            store.delete(name)


def _forget(store: Store, round_id: str) -> None:
    """Delete a round's secrets and answers. Its advert stays, so that it is never joined again."""
    with store.transaction():
        advert = store.get_round(round_id, _ADVERTISE)
        store.delete_round(round_id)
        if advert:
            store.put_round(round_id, _ADVERTISE, advert)


def _last(purposes: tuple[str, ...]) -> str:
    return _LAST + "+".join(purposes)
