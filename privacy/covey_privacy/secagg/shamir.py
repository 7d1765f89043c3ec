"""Shamir's secret sharing over GF(65537), all secrets of a device in one matrix product.

A secret of 32 bytes is 16 limbs of 16 bits; a share's limbs go up to 65536 and travel as 32-bit words.
Products are exact in float64: t * 65536^2 < 2^53 for every t below 2^21.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from covey_privacy.errors import MisuseError

Random = Callable[[int], bytes]
Limbs = NDArray[np.int64]

PRIME = 65537
SECRET_LENGTH = 32
SHARE_LENGTH = 64
"""Bytes of one share of one 32-byte secret."""


def split(secret: bytes, threshold: int, shares: int, random: Random) -> list[bytes]:
    """Return shares 1..`shares` of `secret` (a multiple of 32 bytes); `threshold` of them give it back."""
    if not 1 <= threshold <= shares < PRIME:
        raise MisuseError(f"{threshold} of {shares} shares was asked for; 1 <= t <= n < {PRIME} is possible")
    limbs = np.frombuffer(secret, ">u2").astype(np.int64)
    coefficients = np.vstack([limbs, _uniform(threshold - 1, len(limbs), random)])
    points = _powers(np.arange(1, shares + 1), threshold)
    return [row.tobytes() for row in _product(points, coefficients).astype(">u4")]


def combine(xs: Sequence[int], shares: Sequence[bytes]) -> bytes:
    """Return the secret behind shares number `xs`, exactly as many as the threshold.

    Raises MisuseError when what they give is no secret: some share is wrong.
    """
    limbs = _product(_weights(xs, 0)[None, :], parse(shares))[0]
    if limbs.max(initial=0) > 0xFFFF:
        raise MisuseError("these shares do not belong together: one of them is wrong")
    secret: bytes = limbs.astype(">u2").tobytes()
    return secret


def share_at(xs: Sequence[int], shares: Sequence[bytes], x: int) -> bytes:
    """Return share number `x` of the secret behind shares `xs`: what its holder should have said."""
    row: bytes = _product(_weights(xs, x)[None, :], parse(shares))[0].astype(">u4").tobytes()
    return row


def parse(shares: Sequence[bytes]) -> Limbs:
    """Return shares as rows of limbs. Raises MisuseError for a limb outside the field."""
    rows = np.frombuffer(b"".join(shares), ">u4").astype(np.int64).reshape(len(shares), -1)
    if rows.max(initial=0) >= PRIME:
        raise MisuseError("a share holds a number outside GF(65537)")
    return rows


def _uniform(rows: int, columns: int, random: Random) -> Limbs:
    """Return uniform field elements: 17-bit draws, those above 65536 drawn again."""
    found = np.empty(0, np.int64)
    while len(found) < rows * columns:
        draws = np.frombuffer(random(8 * rows * columns + 64), ">u4") & 0x1FFFF
        found = np.concatenate([found, draws[draws < PRIME].astype(np.int64)])
    return found[: rows * columns].reshape(rows, columns)


def _powers(xs: Limbs, count: int) -> Limbs:
    """Return the Vandermonde matrix of `xs` mod p."""
    powers = np.ones((len(xs), count), np.int64)
    for j in range(1, count):
        powers[:, j] = powers[:, j - 1] * xs % PRIME
    return powers


def _weights(xs: Sequence[int], at: int) -> Limbs:
    """Return the Lagrange weights of points `xs` for the value at `at`."""
    points = np.array(xs, np.int64) % PRIME
    if len(np.unique(points)) != len(points):
        raise MisuseError("two shares have the same number")
    numerator = np.ones(len(points), np.int64)
    denominator = np.ones(len(points), np.int64)
    for j, point in enumerate(points):
        others = np.arange(len(points)) != j
        numerator[others] = numerator[others] * (at - point) % PRIME
        denominator[others] = denominator[others] * (points[others] - point) % PRIME
    return numerator * _inverse(denominator) % PRIME


def _inverse(values: Limbs) -> Limbs:
    """Return values^(p-2) mod p."""
    result = np.ones_like(values)
    for bit in bin(PRIME - 2)[2:]:
        result = result * result % PRIME
        if bit == "1":
            result = result * values % PRIME
    return result


def _product(a: Limbs, b: Limbs) -> Limbs:
    return np.fmod(a.astype(np.float64) @ b.astype(np.float64), PRIME).astype(np.int64)
