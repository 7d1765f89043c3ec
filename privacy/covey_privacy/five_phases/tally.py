"""Packed vectors added up plane by plane, as they lie: none is unpacked, and the sum is put together once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from covey_privacy.five_phases import ring

Octets = NDArray[np.uint8]


class Tally:
    """The sum mod 2^bits of packed vectors of `length` entries.

    A plane of 8 or 16 bits is added into uint32, which wrap as the ring does. The planes of single bits lie
    together at the end of a packed vector, and their ones are counted.
    """

    def __init__(self, length: int, bits: int) -> None:
        self._length, self._bits = length, bits
        planes = ring.planes(length, bits)
        self._sums = [(plane, np.zeros(length, np.uint32)) for plane in planes if plane.width > 1]
        self._single = [plane for plane in planes if plane.width == 1]
        self._ones = _Counter(len(self._single))

    def add(self, packed: bytes) -> None:
        """Add a packed vector. Raises PeerError when it has another size."""
        ring.check_length(packed, self._length, self._bits)
        for plane, sums in self._sums:
            np.add(sums, plane.entries(packed), out=sums)
        if self._single:
            self._ones.add(np.frombuffer(packed, np.uint8)[self._single[0].start :])

    def total(self) -> ring.Vector:
        """Return the sum so far."""
        total = np.zeros(self._length, np.uint32)
        for plane, sums in self._sums:
            total += sums << np.uint32(plane.shift)
        for weight, ones in self._ones.digits():
            rows = ones.reshape(len(self._single), -1)
            for plane, row in zip(self._single, rows, strict=True):
                bits = np.unpackbits(row, count=self._length, bitorder="little").astype(np.uint32)
                total += bits << np.uint32(plane.shift + weight)
        return ring.reduce(total, self._bits)


class _Counter:
    """How many ones came at each bit of arrays of one size, mod 2^width: binary numbers that stand upright.

    The digits of one weight are one array, and a second may wait beside it. With the third that comes, the
    two are added by carry-save, and the carries come to the next weight: an array costs one such addition
    on average. What is carried beyond the last weight is beyond the ring.
    """

    def __init__(self, width: int) -> None:
        self._settled: list[Octets | None] = [None] * width
        self._waiting: list[Octets | None] = [None] * width

    def add(self, ones: Octets) -> None:
        """Count the ones in an array, which is kept for a while."""
        for weight in range(len(self._settled)):
            settled, waiting = self._settled[weight], self._waiting[weight]
            if settled is None:
                self._settled[weight] = ones
                return
            if waiting is None:
                self._waiting[weight] = ones
                return
            self._settled[weight], ones = _carry_save(settled, waiting, ones)
            self._waiting[weight] = None

    def digits(self) -> Iterator[tuple[int, Octets]]:
        """Return (w, array) pairs: each one in such an array counts for 2^w."""
        for held in (self._settled, self._waiting):
            yield from ((weight, ones) for weight, ones in enumerate(held) if ones is not None)


def _carry_save(a: Octets, b: Octets, c: Octets) -> tuple[Octets, Octets]:
    """Return a + b + c at each bit: the low digit and the carry."""
    either = a ^ b
    return either ^ c, a & b | either & c
