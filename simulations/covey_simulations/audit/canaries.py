"""Canaries: the auditor's devices, each of which adds the longest vector that is allowed, or nothing at all.

A canary owns a plane, spanned by two coordinates of the rotated vector, which every step has, with secret
signs; in each step its vector lies in that plane. The directions turn from step to step such that, times
norm / sigma, they add up to zero. Where every step's noise is new that is as good a choice as any, for
noise has no direction. Where it is not, the noise in the canary's score adds up to zero too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from covey_privacy.dp import Encoding
from covey_privacy.dp.keystream import Random

Vector = NDArray[np.float64]


def turns(a: float, b: float, c: float) -> tuple[Vector, Vector, Vector]:
    """Return unit vectors of the plane that, times a, b and c, add up to zero: the sides close a triangle.

    Where one side is longer than the other two together they add up to as little as they can.
    """
    cosine = min(max((c**2 - a**2 - b**2) / (2 * a * b), -1.0), 1.0)
    first, second = np.array([1.0, 0.0]), np.array([cosine, math.sqrt(1 - cosine**2)])
    third = -(a * first + b * second)
    return first, second, third / np.linalg.norm(third)


@dataclass(frozen=True, eq=False)
class Canaries:
    """The planes of m canaries, float64 [m, 2] signs, and which of them take part, bool [m]."""

    signs: Vector
    take_part: NDArray[np.bool_]

    @classmethod
    def drawn(cls, count: int, random: Random) -> Canaries:
        """Return `count` canaries with fair coins for the signs and for taking part."""
        coins = np.unpackbits(np.frombuffer(random(3 * count), np.uint8), count=3 * count).reshape(3, count)
        return cls(1 - 2 * coins[:2].T.astype(np.float64), coins[2].astype(bool))

    def vectors(self, encoding: Encoding, turn: Vector) -> list[Vector]:
        """Return what those who take part add, float64 [length] each, of the encoding's norm exactly."""
        return [self._vector(encoding, int(place), turn) for place in np.flatnonzero(self.take_part)]

    def found(self, rotated: Vector, turn: Vector) -> Vector:
        """Return how far a rotated vector, float64 [padded], goes along each canary's direction, [m]."""
        planes = rotated[: 2 * len(self.signs)].reshape(-1, 2)
        return np.asarray((planes * self.signs) @ turn)

    def _vector(self, encoding: Encoding, place: int, turn: Vector) -> Vector:
        """Return the vector that the encoding's rotation turns into the canary's own direction."""
        rotated = np.zeros(encoding.padded, np.int64)
        rotated[2 * place : 2 * place + 2] = np.rint(2.0 ** (encoding.bits - 2) * self.signs[place] * turn)
        vector = encoding.decode(encoding.to_ring(rotated))
        return vector * (encoding.norm / float(np.linalg.norm(vector)))
