"""Pads: what hides a vector, stretched from a short seed by a linear function, so that sums of seeds suffice.

A vector of at most 2,048 entries is padded by its seed itself: y = v + s, exactly. A longer one is padded in
blocks of 2,048 by ring products: block b of G(s) is a_b * s, with a_b uniform and public, and a small error e
is added: y = v + G(s) + e. Then y hides v under the ring-LWE assumption (`lattice`). Every sum of pads is the
pad of the sum of seeds.

y travels as its upper 31 - d bits, in planes: first the lower 16 bits of each entry, then what is above.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from covey_privacy.errors import MisuseError
from covey_privacy.secagg import ntt
from covey_privacy.secagg.field import Elements, Q, derive, keystream, multiply, uniform_elements
from covey_privacy.secagg.shape import RING_SIZE

ERROR_VARIANCE = 64
"""Of each entry of e: 128 coins less 128 coins."""
LEAST_DROP = 7
"""Fewer dropped bits, other than none, would save no byte."""
MOST_DROP = 14
"""Entries of 17 bits and more take three bytes."""

_BLOCKS = 16
"""Ring products at a time: their rows stay in the processor's cache."""
_SHARE_OF_NOISE = 0.001


def is_long(length: int) -> bool:
    """Say whether a vector of that length is padded by ring products, with an error."""
    return length > RING_SIZE


def pad(digest: bytes, seed: Elements, length: int) -> Elements:
    """Return G(seed), shape (length,).

    Args:
        digest: of the manifest, 32 bytes; the a_b are drawn from it.
        seed: a seed or a sum of seeds mod q: of min(length, 2048) elements at least.
    """
    if not is_long(length):
        short: Elements = seed[:length]
        return short
    factors = _factors(digest, -(-length // RING_SIZE))
    transformed = ntt.forward(seed[None, :RING_SIZE])
    rows = range(0, len(factors), _BLOCKS)
    blocks = [ntt.backward(multiply(factors[row : row + _BLOCKS], transformed)) for row in rows]
    padded: Elements = np.concatenate(blocks).reshape(-1)[:length]
    return padded


def errors(key: bytes, length: int) -> Elements:
    """Return `length` errors from the stream of `key`: centred binomial with variance 64."""
    coins = np.frombuffer(keystream(key, 32 * length), "<u8").reshape(4, length)
    heads = np.bitwise_count(coins).astype(np.int16)
    balance: Elements = (heads[0] + heads[1] - heads[2] - heads[3]).astype(np.int64)
    return balance


def choose_drop(length: int, most: int, steps: float) -> int:
    """Return d: how many low bits of y are not sent.

    The error of a sum has variance n (64 + 4^d / 12); d is the largest with which that stays below a
    thousandth of the noise's variance.

    Args:
        length: entries of the vector; short ones drop nothing, so that their sums are exact.
        most: n, the most members of a round.
        steps: the noise's standard deviation in integer steps, sigma * scale.

    Raises:
        MisuseError: the error alone exceeds that share of the noise.
    """
    if not is_long(length):
        return 0
    bearable = _SHARE_OF_NOISE * steps**2
    if ERROR_VARIANCE * most > bearable:
        raise MisuseError(
            f"the errors of {most} long vectors add a variance of {ERROR_VARIANCE * most}, more than a "
            f"thousandth of the noise's ({steps**2:.0f}): scale vectors by a larger factor, or shorten them"
        )
    drops = [d for d in range(LEAST_DROP, MOST_DROP + 1) if error_variance(most, d) <= bearable]
    return max(drops, default=0)


def least_steps(most: int, drop: int) -> float:
    """Return the noise, in integer steps, that bears the error of `most` long vectors with `drop` bits
    dropped."""
    return math.sqrt(error_variance(most, drop) / _SHARE_OF_NOISE)


def error_variance(members: int, drop: int) -> float:
    """Return the variance of the error in a long sum, in squared integer steps."""
    return members * (ERROR_VARIANCE + (4**drop / 12 if drop else 0))


def packed_size(length: int, drop: int) -> int:
    """Return how many bytes `length` entries take."""
    return length * (3 if drop else 4)


def pack(padded: Elements, drop: int) -> bytes:
    """Return the upper bits of `padded`, rounded half up."""
    rounded = ((padded + (1 << drop >> 1)) >> drop).astype(np.uint32)
    upper = rounded >> np.uint32(16)
    return (rounded & np.uint32(0xFFFF)).astype("<u2").tobytes() + upper.astype(
        "u1" if drop else "<u2"
    ).tobytes()


def total(units: NDArray[np.uint64], members: int, drop: int) -> Elements:
    """Return a sum of packed vectors mod q. Rounding half up adds half a unit a member: it is taken off."""
    scaled = units.astype(np.int64) << drop
    summed: Elements = (scaled - (members // 2 if drop else 0)) % Q
    return summed


class VectorSum:
    """Adds packed vectors up, and takes some out again: two planes, each in 64 bits."""

    def __init__(self, length: int, drop: int) -> None:
        self._drop = drop
        self._lower = np.zeros(length, np.uint64)
        self._upper = np.zeros(length, np.uint64)
        self.members = 0

    def add(self, packed: bytes) -> None:
        """Add a vector of the right size."""
        lower, upper = self._planes(packed)
        self._lower += lower
        self._upper += upper
        self.members += 1

    def remove(self, packed: bytes) -> None:
        """Take out a vector that was added."""
        lower, upper = self._planes(packed)
        self._lower -= lower
        self._upper -= upper
        self.members -= 1

    def units(self) -> NDArray[np.uint64]:
        """Return the sum of the packed vectors, in units of 2^d."""
        return self._lower + (self._upper << np.uint64(16))

    def total(self) -> Elements:
        """Return the sum mod q."""
        return total(self.units(), self.members, self._drop)

    def _planes(self, packed: bytes) -> tuple[NDArray[np.uint16], NDArray[np.uint16] | NDArray[np.uint8]]:
        split = 2 * len(self._lower)
        upper = np.frombuffer(packed, "u1" if self._drop else "<u2", offset=split)
        return np.frombuffer(packed, "<u2", count=len(self._lower)), upper


@lru_cache(4)
def _factors(digest: bytes, blocks: int) -> Elements:
    """Return the a_b, transformed: a uniform polynomial's transform is as uniform."""
    return uniform_elements(derive(digest, b"covey/2/ring"), blocks * RING_SIZE).reshape(blocks, RING_SIZE)
