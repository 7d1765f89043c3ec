"""The ring Z_(2^b): vectors as uint32 that wrap, packed to b bits an entry before they travel.

A packed vector is a series of planes, the lowest bits first: as many of 16 bits as fit, then one of 8, then
single bits. A plane holds its bits of every entry, in order; words and bits are little-endian.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from covey_privacy.errors import PeerError
from covey_privacy.rules import Rule

Vector = NDArray[np.uint32]

_WORDS = {16: "<u2", 8: "u1"}


def reduce(vector: Vector, bits: int) -> Vector:
    """Return the entries mod 2^bits."""
    return vector & np.uint32((1 << bits) - 1)


def packed_length(length: int, bits: int) -> int:
    """Return how many bytes `length` entries of `bits` bits take."""
    return sum(_plane_length(length, width) for _, width in _planes(bits))


def pack(vector: Vector, bits: int) -> bytes:
    """Return the entries mod 2^bits as bytes."""
    return b"".join(_plane(vector >> np.uint32(shift), width) for shift, width in _planes(bits))


def unpack(data: bytes, length: int, bits: int) -> Vector:
    """Return the `length` entries in `data`. Raises PeerError when it has another size."""
    if len(data) != packed_length(length, bits):
        raise PeerError(
            f"a vector of {len(data)} bytes arrived; {packed_length(length, bits)} were expected",
            rule=Rule.VECTOR_LENGTH,
        )
    vector, start = np.zeros(length, np.uint32), 0
    for shift, width in _planes(bits):
        end = start + _plane_length(length, width)
        vector |= _entries(data[start:end], length, width) << np.uint32(shift)
        start = end
    return vector


@cache
def _planes(bits: int) -> tuple[tuple[int, int], ...]:
    """Return (shift, width) of each plane."""
    planes, shift = [], 0
    while shift < bits:
        width = next(width for width in (16, 8, 1) if width <= bits - shift)
        planes.append((shift, width))
        shift += width
    return tuple(planes)


def _plane_length(length: int, width: int) -> int:
    return (length * width + 7) // 8


def _plane(values: Vector, width: int) -> bytes:
    """Return the low bits of each value; a narrower type cuts off the rest."""
    if width > 1:
        return values.astype(_WORDS[width]).tobytes()
    return np.packbits(values.astype(np.uint8) & 1, bitorder="little").tobytes()


def _entries(plane: bytes, length: int, width: int) -> Vector:
    if width > 1:
        return np.frombuffer(plane, _WORDS[width]).astype(np.uint32)
    octets = np.frombuffer(plane, np.uint8)
    return np.unpackbits(octets, count=length, bitorder="little").astype(np.uint32)
