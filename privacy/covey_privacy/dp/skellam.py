"""Skellam noise, drawn from a table of exact integers.

The Skellam law of variance mu is the difference of two Poisson(mu/2) draws: P(k) = exp(-mu) I_k(mu), with I_k
the modified Bessel function of the first kind. Sums of independent Skellams are Skellam, so devices that
drop out change the variance alone (Agarwal, Kairouz, Liu 2021, "The Skellam Mechanism").

Floating point would cut the tails at 2^-53 and shift what lies inside; the table is made of big integers, in
units of 2^-128. A uniform number is inverted in it. Its first 16 bits point at the place (Chen and Asau 1974,
"On Generating Random Variates from an Empirical Distribution") and 64 settle it; where they are those of a
bound, which chance hardly ever brings about, 64 more are drawn.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from covey_privacy.dp.keystream import Random, keystream
from covey_privacy.errors import MisuseError

LEAST_VARIANCE = 1e-6
MOST_VARIANCE = 2.0**28
PRECISION = 192
"""Bits that the recurrence keeps, and minus the log2 of the tail it starts from."""
GUIDE_BITS = 16
"""Leading bits of a uniform number by which its place in the table is looked up."""
CROWDED = -1
BLOCK = 2**16
"""Draws that are made at a time, so that what stands between stays in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Skellam:
    """The symmetric Skellam law of the given variance, LEAST_VARIANCE to MOST_VARIANCE."""

    variance: float

    def __post_init__(self) -> None:
        if not LEAST_VARIANCE <= self.variance <= MOST_VARIANCE:
            raise MisuseError(
                f"a Skellam variance of {self.variance} cannot be drawn; "
                f"choose a scale that brings it between {LEAST_VARIANCE} and {MOST_VARIANCE}"
            )

    def sample(self, size: int, random: Random = keystream) -> NDArray[np.int64]:
        """Return `size` independent draws, int64 [size]; `random(n)` gives n uniform secret bytes."""
        table = _table(float(self.variance))
        uniform = np.frombuffer(random(8 * size), "<u8", size)
        drawn = np.empty(size, np.int64)
        for start in range(0, size, BLOCK):
            drawn[start : start + BLOCK] = table.invert(uniform[start : start + BLOCK], random)
        return drawn

    @property
    def distance(self) -> float:
        """A bound on the total-variation distance between one draw and the true law.

        Each cell is off by less than 2^-128, the middle one and the two that hold the tails by twice that.
        """
        return (_table(float(self.variance)).reach + 3) / 2.0**128


@dataclass(frozen=True, slots=True)
class _Table:
    """The inverse of the law's distribution function, for uniform integers of 128 bits.

    The first uniform above value k, from -reach to reach - 1, has the leading 64 bits `high` and the others
    `low`, both uint64 [2 reach]; `high` has one entry more, which none is above. `guide`, int64 [2^16], is
    the first place in it for each 16 leading bits, CROWDED where more than two share them.
    """

    high: NDArray[np.uint64]
    low: NDArray[np.uint64]
    guide: NDArray[np.int64]

    @property
    def reach(self) -> int:
        return len(self.low) // 2

    def invert(self, uniform: NDArray[np.uint64], random: Random) -> NDArray[np.int64]:
        """Return the value that each uniform's leading bits give: two look-ups do for most."""
        place: NDArray[np.int64] = self.guide[uniform >> (64 - GUIDE_BITS)]
        place += uniform > self.high[place]
        crowded = np.flatnonzero(place < 0)
        place[crowded] = np.searchsorted(self.high, uniform[crowded])
        for tied in np.flatnonzero(self.high[place] == uniform):
            place[tied] = self._settled(uniform[tied], int.from_bytes(random(8), "little"))
        place -= self.reach
        return place

    def _settled(self, high: np.uint64, low: int) -> int:
        """Return the place of a uniform that shares its leading bits with a bound."""
        first, beyond = (int(np.searchsorted(self.high, high, side)) for side in ("left", "right"))
        return first + int(np.searchsorted(self.low[first:beyond], np.uint64(low), "right"))


@functools.lru_cache(maxsize=8)
def _table(variance: float) -> _Table:
    """Return the table in which P(X <= k) counts units of 2^-128; P(X >= reach) is the last to hold one."""
    halves, total = _upper_tails(variance)
    below = [count for tail in halves if (count := (tail << 128) // total)]
    bounds = below + [2**128 - count for count in reversed(below)]
    high = np.array([bound >> 64 for bound in bounds] + [2**64 - 1], dtype=np.uint64)
    low = np.array([bound % 2**64 for bound in bounds], dtype=np.uint64)
    table = _Table(high, low, _guide(high))
    for array in (table.high, table.low, table.guide):
        array.setflags(write=False)
    return table


def _guide(high: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return the first place in `high` for each leading bits, CROWDED where one step does not reach all."""
    starts = np.arange(2**GUIDE_BITS, dtype=np.uint64) << (64 - GUIDE_BITS)
    first = np.searchsorted(high, starts)
    through = np.searchsorted(high, starts + (2 ** (64 - GUIDE_BITS) - 1))
    return np.where(through - first <= 1, first, CROWDED)


def _upper_tails(variance: float) -> tuple[list[int], int]:
    """Return numbers proportional to P(X >= k), k from far out down to 1, and what stands for 1.

    Miller's backward recurrence I_(k-1) = I_(k+1) + (2k/mu) I_k (Abramowitz and Stegun 9.6.26), normalised by
    I_0 + 2 sum I_k. All terms are positive, so roundings add up to at most one in 2^PRECISION a step.
    """
    numerator, denominator = variance.as_integer_ratio()
    above, here, tail = 0, 1 << PRECISION, 0
    tails = []
    for k in range(_start(variance), 0, -1):
        tail += here
        tails.append(tail)
        above, here = here, above + 2 * k * denominator * here // numerator
    return tails, here + 2 * tail


def _start(variance: float) -> int:
    """Return a k with P(X >= k) < 2^-PRECISION, by Chernoff's bound."""
    k = 1
    while _exponent(k, variance) < PRECISION * math.log(2):
        k += k // 8 + 1
    return k


def _exponent(k: int, variance: float) -> float:
    """Return -ln of Chernoff's bound on P(X >= k): k t - mu (cosh t - 1), where sinh t = k / mu."""
    return k * math.asinh(k / variance) - k * (k / (math.hypot(k, variance) + variance))
