"""The ring Z_(2^b): vectors as uint32 that wrap, packed to b bits an entry before they travel.

A packed vector is a series of planes, the lowest bits first: as many of 16 bits as fit, then one of 8, then
single bits. A plane holds its bits of every entry, in order; words and bits are little-endian.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covey_privacy.errors import PeerError
from covey_privacy.rules import Rule

Vector = NDArray[np.uint32]

_WORDS = {16: "<u2", 8: "u1"}


@dataclass(frozen=True, slots=True)
class Plane:
    """Bits `shift` to `shift + width` of `length` entries; `start` is its first byte in the packed vector."""

    shift: int
    width: int
    length: int
    start: int

    @property
    def end(self) -> int:
        """The byte after the last."""
        return self.start + (self.length * self.width + 7) // 8

    def pack(self, vector: Vector) -> bytes:
        """Return the plane of a vector; a narrower type cuts off what lies above."""
        values = vector >> np.uint32(self.shift)
        if self.width > 1:
            return values.astype(_WORDS[self.width]).tobytes()
        return np.packbits(values.astype(np.uint8) & 1, bitorder="little").tobytes()

    def entries(self, packed: bytes) -> NDArray[Any]:
        """Return the plane's bits of each entry of a packed vector, as the narrow type that holds them."""
        octets = np.frombuffer(packed, np.uint8)[self.start : self.end]
        if self.width > 1:
            return octets.view(_WORDS[self.width])
        return np.unpackbits(octets, count=self.length, bitorder="little")


@cache
def planes(length: int, bits: int) -> tuple[Plane, ...]:
    """Return the planes of a packed vector of `length` entries of `bits` bits."""
    found: list[Plane] = []
    shift = start = 0
    while shift < bits:
        width = next(width for width in (16, 8, 1) if width <= bits - shift)
        found.append(Plane(shift, width, length, start))
        shift, start = shift + width, found[-1].end
    return tuple(found)


def reduce(vector: Vector, bits: int) -> Vector:
    """Return the entries mod 2^bits."""
    return vector & np.uint32((1 << bits) - 1)


def packed_length(length: int, bits: int) -> int:
    """Return how many bytes `length` entries of `bits` bits take."""
    return planes(length, bits)[-1].end


def check_length(packed: bytes, length: int, bits: int) -> None:
    """Raise PeerError unless `packed` has the size of `length` entries."""
    expected = packed_length(length, bits)
    if len(packed) != expected:
        raise PeerError(
            f"a vector of {len(packed)} bytes arrived; {expected} were expected", rule=Rule.VECTOR_LENGTH
        )


def pack(vector: Vector, bits: int) -> bytes:
    """Return the entries mod 2^bits as bytes."""
    return b"".join(plane.pack(vector) for plane in planes(len(vector), bits))


def unpack(packed: bytes, length: int, bits: int) -> Vector:
    """Return the `length` entries in `packed`. Raises PeerError when it has another size."""
    check_length(packed, length, bits)
    vector = np.zeros(length, np.uint32)
    for plane in planes(length, bits):
        vector |= plane.entries(packed).astype(np.uint32) << np.uint32(plane.shift)
    return vector
