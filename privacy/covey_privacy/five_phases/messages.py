"""What devices and aggregator send each other after the adverts, in the order of the phases.

Devices are named by their index in the roster. Shares are sealed end to end; all messages of one kind in one
round have the same size.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated

from covey_privacy import wire
from covey_privacy.consent import Proof
from covey_privacy.five_phases.masks import TAG_LENGTH
from covey_privacy.five_phases.roster import Advert
from covey_privacy.five_phases.shamir import SHARE_LENGTH

SURVIVORS = "survivors"

_PAIR = b"\x82"
"""CBOR's head of an array of two: `Parcels`, `Agreement` and `Openings` are such."""

MOST_NEIGHBOURS = 4096
Index = wire.U32
Sealed = Annotated[bytes, wire.Size(2 * SHARE_LENGTH + TAG_LENGTH)]
Bitmap = Annotated[bytes, wire.Size(1, 2**17)]


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A neighbour's place in the roster, and its advert."""

    index: Index
    advert: Advert


def sender(message: bytes) -> int | None:
    """Return the device that a message names first, None where it is not written there plainly."""
    first = message[1] if message[:1] == _PAIR and len(message) > 1 else 0xFF
    width = {0x18: 1, 0x19: 2, 0x1A: 4}.get(first)
    if width:
        return int.from_bytes(message[2 : 2 + width])
    return first if first < 0x18 else None


@dataclass(frozen=True, slots=True)
class RosterView:
    """To a device: the countersigned roster as far as it concerns this device.

    `inclusions` prove that the neighbours stand in the roster, in their order.
    """

    size: wire.U32
    root: wire.Bytes32
    countersignature: wire.Signature
    index: Index
    inclusion: Proof
    neighbours: Annotated[tuple[Neighbour, ...], wire.Records(1, MOST_NEIGHBOURS)]
    inclusions: Annotated[tuple[Proof, ...], wire.Size(1, MOST_NEIGHBOURS)]


@dataclass(frozen=True, slots=True)
class Parcel:
    """One sealed pair of shares; `peer` is the recipient on the way out and the sender on the way in."""

    peer: Index
    sealed: Sealed


@dataclass(frozen=True, slots=True)
class Parcels:
    """From a device: a parcel for each neighbour. To a device: those that its neighbours sent it."""

    device: Index
    parcels: Annotated[tuple[Parcel, ...], wire.Records(0, MOST_NEIGHBOURS)]


@dataclass(frozen=True, slots=True)
class MaskedVector:
    """From a device: its masked vector, packed."""

    device: Index
    vector: Annotated[bytes, wire.Size(1, 2**26)]


@dataclass(frozen=True, slots=True)
class PartialSum:
    """From a node: the sum of the masked vectors that it took, and of whom; these sets are the survivors."""

    devices: Bitmap
    vector: Annotated[bytes, wire.Size(1, 2**26)]


@dataclass(frozen=True, slots=True)
class Survivors:
    """To every device: whose vectors are in the sum, as a bitmap over the roster (bit i of byte i // 8)."""

    size: wire.U32
    bitmap: Bitmap

    @classmethod
    def of(cls, size: int, devices: set[int]) -> Survivors:
        """Return the survivor set of these devices in a roster of `size`."""
        bitmap = bytearray((size + 7) // 8)
        for device in devices:
            bitmap[device // 8] |= 1 << device % 8
        return cls(size, bytes(bitmap))

    def __contains__(self, device: int) -> bool:
        return 0 <= device < self.size and bool(self.bitmap[device // 8] >> device % 8 & 1)

    @property
    def count(self) -> int:
        """How many devices survived."""
        return int.from_bytes(self.bitmap).bit_count()

    @property
    def devices(self) -> set[int]:
        """The survivors' indices."""
        return {device for device in range(self.size) if device in self}

    @property
    def fits(self) -> bool:
        """Whether the bitmap covers exactly the roster: no survivor can stand outside it."""
        spare = 8 * len(self.bitmap) - self.size
        return 0 <= spare < 8 and (not spare or not self.bitmap[-1] >> 8 - spare)

    def to_sign(self, context: bytes) -> bytes:
        """Return what a device signs in the consistency phase."""
        return context + hashlib.sha256(wire.encode(self)).digest()


@dataclass(frozen=True, slots=True)
class Agreement:
    """From a device: its signature over the survivor set that it was shown."""

    device: Index
    signature: wire.Signature


@dataclass(frozen=True, slots=True)
class Agreements:
    """To a device: what its neighbours signed."""

    agreements: Annotated[tuple[Agreement, ...], wire.Records(0, MOST_NEIGHBOURS)]


@dataclass(frozen=True, slots=True)
class Opening:
    """One share: of the owner's self-mask seed if it survived, of its mask key if it did not; never both."""

    owner: Index
    share: Annotated[bytes, wire.Size(SHARE_LENGTH)]


@dataclass(frozen=True, slots=True)
class Openings:
    """From a device: one share for each neighbour that shared with it."""

    device: Index
    openings: Annotated[tuple[Opening, ...], wire.Records(0, MOST_NEIGHBOURS)]
