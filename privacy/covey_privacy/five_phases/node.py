"""A node's side of a round: it shows each device its part of the roster and adds masked vectors up."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Set
from dataclasses import dataclass

from covey_privacy import wire
from covey_privacy.errors import PeerError
from covey_privacy.five_phases import graph, messages, ring
from covey_privacy.five_phases.roster import Roster
from covey_privacy.five_phases.tally import Tally
from covey_privacy.records import layout
from covey_privacy.rules import Rule


@dataclass(frozen=True, slots=True)
class _View:
    """A `RosterView` whose records lie end to end already: neighbours share most of them."""

    size: wire.U32
    root: wire.Bytes32
    countersignature: wire.Signature
    index: messages.Index
    inclusion: bytes
    neighbours: bytes
    inclusions: tuple[bytes, ...]


class Directory:
    """A countersigned roster, from which each device's view is cut."""

    def __init__(self, roster: Roster, countersignature: bytes, degree: int) -> None:
        self._roster, self._countersignature, self.degree = roster, countersignature, degree
        self._beacon = hashlib.sha256(countersignature).digest()
        self._tree, self._root = roster.tree, roster.tree.root()
        self._indices = {advert.round_key: index for index, advert in enumerate(roster.adverts)}

    def index(self, round_key: bytes) -> int | None:
        """Return the place of a round key in the roster, None where it is not in it."""
        return self._indices.get(round_key)

    def view(self, index: int) -> bytes:
        """Return the `RosterView` of device `index`."""
        size = len(self._roster.adverts)
        near = graph.neighbours(self._beacon, size, self.degree, index)
        neighbours = b"".join(map(self._neighbours.__getitem__, near))
        inclusions = tuple(map(self._inclusions.__getitem__, near))
        inclusion = self._inclusions[index]
        return wire.encode(
            _View(size, self._root, self._countersignature, index, inclusion, neighbours, inclusions)
        )

    @functools.cached_property
    def _neighbours(self) -> list[bytes]:
        """Each device as its neighbours are shown it."""
        adverts = enumerate(self._roster.adverts)
        return [layout(messages.Neighbour).pack_one(messages.Neighbour(*each)) for each in adverts]

    @functools.cached_property
    def _inclusions(self) -> list[bytes]:
        """The proof that each device stands in the roster."""
        return [b"".join(proof) for proof in self._tree.inclusions()]


class Sum:
    """Masked vectors added up as they arrive, with the set of devices whose they are.

    Adding is associative: sums of sums give the same as one sum. What raises PeerError is not in the sum.
    Where `among` is given, who shared, no other device's vector is taken.
    """

    def __init__(self, size: int, length: int, bits: int, among: Set[int] | None = None) -> None:
        self._size, self._bits, self._among = size, bits, among
        self.devices: set[int] = set()
        self._tally = Tally(length, bits)

    @property
    def total(self) -> ring.Vector:
        """The sum so far, mod 2^bits."""
        return self._tally.total()

    def add(self, masked: bytes) -> None:
        """Add one device's `MaskedVector`. A device counts once."""
        message = wire.decode(messages.MaskedVector, masked)
        self._add({message.device}, message.vector)

    def merge(self, partial: bytes) -> None:
        """Add another node's `PartialSum`."""
        message = wire.decode(messages.PartialSum, partial)
        survivors = messages.Survivors(self._size, message.devices)
        if not survivors.fits:
            raise PeerError(
                f"a partial sum names devices outside the roster of {self._size}", rule=Rule.ROSTER_PLACE
            )
        self._add(survivors.devices, message.vector)

    def message(self) -> bytes:
        """Return the `PartialSum` so far."""
        bitmap = messages.Survivors.of(self._size, self.devices).bitmap
        return wire.encode(messages.PartialSum(bitmap, ring.pack(self.total, self._bits)))

    def _add(self, devices: set[int], packed: bytes) -> None:
        if twice := devices & self.devices:
            raise PeerError(f"device {min(twice)} is in two sums; a vector counts once", rule=Rule.ONE_VECTOR)
        if devices and max(devices) >= self._size:
            raise PeerError(
                f"a masked vector names device {max(devices)}; the roster has {self._size}",
                rule=Rule.ROSTER_PLACE,
            )
        if self._among is not None and (strangers := devices - self._among):
            raise PeerError(
                f"device {min(strangers)} sent a vector without having shared", rule=Rule.SHARED_FIRST
            )
        self._tally.add(packed)
        self.devices |= devices
