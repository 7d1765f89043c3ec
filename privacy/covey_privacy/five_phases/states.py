"""What a device remembers of a round between two steps: plain data, one class a state.

`Participant` goes Advertised -> Shared -> Masked -> Agreed -> Opened.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeVar

from covey_privacy import wire
from covey_privacy.errors import MisuseError
from covey_privacy.five_phases.messages import MOST_NEIGHBOURS, Survivors
from covey_privacy.five_phases.roster import Advert
from covey_privacy.five_phases.shamir import SHARE_LENGTH
from covey_privacy.rules import Rule

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Secrets:
    """A device's secrets of one round: round key, X25519 key of the masks, self-mask seed."""

    round: wire.Bytes32
    mask: wire.Bytes32
    seed: wire.Bytes32


@dataclass(frozen=True, slots=True)
class Peer:
    """What a device keeps of a checked neighbour; `inbox` is the key that opens the parcel from it."""

    index: wire.U32
    round_key: wire.Bytes32
    mask_key: wire.Bytes32
    inbox: wire.Bytes32


Peers = Annotated[tuple[Peer, ...], wire.Records(1, MOST_NEIGHBOURS)]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a device stands in a countersigned roster, and among whom."""

    index: wire.U32
    size: wire.U32
    threshold: wire.U32
    context: wire.Bytes32
    peers: Peers


@dataclass(frozen=True, slots=True)
class Held:
    """A neighbour's two shares, of its seed and of its mask key."""

    owner: wire.U32
    seed: Annotated[bytes, wire.Size(SHARE_LENGTH)]
    key: Annotated[bytes, wire.Size(SHARE_LENGTH)]


Shares = Annotated[tuple[Held, ...], wire.Records(0, MOST_NEIGHBOURS)]


@dataclass(frozen=True, slots=True)
class Advertised:
    """The advert is out. `seal` is the X25519 key of the parcels."""

    secrets: Secrets
    seal: wire.Bytes32
    advert: Advert


@dataclass(frozen=True, slots=True)
class Shared:
    """The shares are out."""

    secrets: Secrets
    place: Place


@dataclass(frozen=True, slots=True)
class Masked:
    """The masked vector is out. Of the own secrets the round key is left."""

    round: wire.Bytes32
    place: Place
    held: Shares


@dataclass(frozen=True, slots=True)
class Agreed:
    """The survivor set is signed. No own secret is left."""

    place: Place
    held: Shares
    survivors: Survivors


@dataclass(frozen=True, slots=True)
class Opened:
    """The one share for each neighbour is out; nothing is left to give."""

    index: wire.U32


State = Advertised | Shared | Masked | Agreed | Opened


def dump(state: State) -> bytes:
    """Return the state as bytes; they hold secrets."""
    return type(state).__name__.encode() + b"\0" + wire.encode(state)


def load(dumped: bytes) -> State:
    """Return the state that `dump` put away."""
    name, _, state = dumped.partition(b"\0")
    return wire.decode(_BY_NAME[name], state)


_BY_NAME: dict[bytes, type[State]] = {
    cls.__name__.encode(): cls for cls in (Advertised, Shared, Masked, Agreed, Opened)
}


def expect(state: object, cls: type[S]) -> S:
    """Return `state` as a `cls`. Raises MisuseError when the machine is elsewhere."""
    if not isinstance(state, cls):
        raise MisuseError(
            f"this step follows {cls.__name__}; the round is at {type(state).__name__}", rule=Rule.STEP_ORDER
        )
    return state
