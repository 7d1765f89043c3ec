"""Shamir's secret sharing over GF(65537), all secrets of a device in one matrix product.

A secret of 32 bytes is 16 limbs of 16 bits; a share's limbs go up to 65536 and travel as 32-bit words.
Products are exact in float64: t * 65536^2 < 2^53 for every t below 2^21.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from covey_privacy.errors import MisuseError
from covey_privacy.rules import Rule

Random = Callable[[int], bytes]
Limbs = NDArray[np.int64]

PRIME = 65537
SECRET_LENGTH = 32
SHARE_LENGTH = 64
"""Bytes of one share of one 32-byte secret."""


def split(secret: bytes, threshold: int, shares: int, random: Random) -> list[bytes]:
    """Return shares 1..`shares` of `secret` (a multiple of 32 bytes); `threshold` of them give it back."""
    if not 1 <= threshold <= shares < PRIME:
        raise MisuseError(
            f"{threshold} of {shares} shares was asked for; 1 <= t <= n < {PRIME} is possible",
            rule=Rule.ARGUMENT,
        )
    limbs = np.frombuffer(secret, ">u2").astype(np.int64)
    coefficients = np.vstack([limbs, _uniform(threshold - 1, len(limbs), random)])
    points = _powers(np.arange(1, shares + 1), threshold)
    return [row.tobytes() for row in _product(points, coefficients).astype(">u4")]


def combine(xs: Sequence[int], shares: Sequence[bytes]) -> bytes:
    """Return the secret behind shares number `xs`, exactly as many as the threshold.

    Raises MisuseError when what they give is no secret: some share is wrong.
    """
    (secret,) = combine_all(np.array([xs]), parse(shares)[None])
    if secret is None:
        raise MisuseError("these shares do not belong together: one of them is wrong", rule=Rule.SHARE)
    return secret


def combine_all(xs: Limbs, shares: Limbs) -> list[bytes | None]:
    """Return the secret of each owner, None where some share is wrong.

    `xs` holds the numbers of an owner's shares, int64 [owners, t]; `shares` their limbs, [owners, t, limbs].
    """
    limbs = _product(_weights(xs, 0)[:, None], shares)[:, 0]
    return [row.astype(">u2").tobytes() if row.max(initial=0) < 2**16 else None for row in limbs]


def shares_at(xs: Sequence[int], shares: Sequence[bytes], at: Sequence[int]) -> list[bytes]:
    """Return shares number `at` of the secret behind shares `xs`: what their holders should have said."""
    weights = _weights(np.array([xs] * len(at)).reshape(-1, len(xs)), np.array(at)[:, None])
    return [row.tobytes() for row in _product(weights, parse(shares)).astype(">u4")]


def parse(shares: Sequence[bytes]) -> Limbs:
    """Return shares as rows of limbs. Raises MisuseError for a limb outside the field."""
    rows = np.frombuffer(b"".join(shares), ">u4").astype(np.int64).reshape(len(shares), -1)
    if rows.max(initial=0) >= PRIME:
        raise MisuseError("a share holds a number outside GF(65537)", rule=Rule.SHARE)
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


def _weights(xs: Limbs, at: int | Limbs) -> Limbs:
    """Return the Lagrange weights [rows, t] of the points in each row for the value at `at` (or [rows, 1]).

    The weight of x is the product of (at - y) / (x - y) over the other points y. By logarithms it is a sum,
    and for all rows at once a matrix product: which row has which points, times the logarithms of x - y.
    """
    points, places = np.unique(xs, return_inverse=True)
    places = places.reshape(xs.shape)
    has = np.zeros((len(xs), len(points)))
    np.put_along_axis(has, places, 1, axis=1)
    if has.sum() < xs.size:
        raise MisuseError("two shares have the same number", rule=Rule.ARGUMENT)
    log, power = logarithms()
    below = np.take_along_axis(has @ log[(points - points[:, None]) % PRIME], places, axis=1)
    above = log[(at - xs) % PRIME]
    found = power[(above.sum(axis=1, keepdims=True) - above - below.astype(np.int64)) % (PRIME - 1)]
    here = xs == at
    return np.where(here.any(axis=1, keepdims=True) & ~here, 0, found)


@functools.cache
def logarithms() -> tuple[Limbs, Limbs]:
    """Return log and power to base 3, which generates the field's units: products become sums.

    log[0] is 0: a factor 0 is left out.
    """
    power = np.ones(PRIME - 1, np.int64)
    done = 1
    while done < len(power):
        power[done : 2 * done] = power[:done] * pow(3, done, PRIME) % PRIME
        done *= 2
    log = np.zeros(PRIME, np.int64)
    log[power] = np.arange(len(power))
    return log, power


def _product(a: Limbs, b: Limbs) -> Limbs:
    return np.fmod(a.astype(np.float64) @ b.astype(np.float64), PRIME).astype(np.int64)
