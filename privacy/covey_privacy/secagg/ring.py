"""The ring Z_(2^b): vectors as uint32 that wrap, packed to b bits an entry before they travel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from covey_privacy.errors import PeerError

Vector = NDArray[np.uint32]


def reduce(vector: Vector, bits: int) -> Vector:
    """Return the entries mod 2^bits."""
    return vector & np.uint32((1 << bits) - 1)


def packed_length(length: int, bits: int) -> int:
    """Return how many bytes `length` entries of `bits` bits take."""
    return (length * bits + 7) // 8


def pack(vector: Vector, bits: int) -> bytes:
    """Return the entries mod 2^bits as a big-endian bit string."""
    octets = vector.astype(">u4").view(np.uint8).reshape(-1, 4)
    if bits % 8 == 0:
        return octets[:, 4 - bits // 8 :].tobytes()
    return np.packbits(np.unpackbits(octets, axis=1)[:, 32 - bits :]).tobytes()


def unpack(data: bytes, length: int, bits: int) -> Vector:
    """Return the `length` entries in `data`. Raises PeerError when it has another size."""
    if len(data) != packed_length(length, bits):
        raise PeerError(f"a vector of {len(data)} bytes arrived; {packed_length(length, bits)} were expected")
    if bits % 8 == 0:
        octets = np.zeros((length, 4), np.uint8)
        octets[:, 4 - bits // 8 :] = np.frombuffer(data, np.uint8).reshape(length, bits // 8)
        return octets.view(">u4").ravel().astype(np.uint32)
    columns = np.zeros((length, 32), np.uint8)
    flat = np.unpackbits(np.frombuffer(data, np.uint8), count=length * bits)
    columns[:, 32 - bits :] = flat.reshape(-1, bits)
    return np.packbits(columns).view(">u4").astype(np.uint32)
