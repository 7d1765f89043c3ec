"""What rounds cost together, by two accountants.

- *Renyi*: the divergence of the Skellam mechanism at every integer order (Agarwal, Kairouz, Liu 2021),
  composed by addition, converted by Canonne, Kamath, Steinke 2020, proposition 12.
- *Gaussian*: the same vectors under rounded Gaussian noise, which is post-processing of one Gaussian
  mechanism whose delta is known exactly (`gaussian`), plus what Skellam noise is away from that (`nearness`).

Both are upper bounds, so the lesser of the two is one. The unit is one person whose vectors are replaced by
zeros. Nothing is credited for sampling: the server knows who took part.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from covey_privacy.dp import gaussian
from covey_privacy.dp.mechanism import SkellamMechanism
from covey_privacy.dp.skellam_gap import LEAST_VARIANCE, MOST_VARIANCE, POWERS, apart, nearness
from covey_privacy.errors import MisuseError

Vector = NDArray[np.float64]

ORDERS: Vector = np.unique(np.geomspace(2, 2**14, 400).round())
"""The integer Renyi orders over which epsilon is minimised: every one up to about 40, then 2 % apart."""
NEAR = 2.0**-10
"""The part of delta that the Gaussian accountant sets aside for the distance of its noise from Skellam's."""
LEAST_EPSILON = 1e-9
MOST_EPSILON = 700.0
"""Above it e^epsilon leaves floating point; what costs more costs everything."""


REFINED = 4
"""How often an epsilon is worked out anew with what its own size leaves of delta; it settles at once."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What was spent at `delta`, by either accountant. Infinite where one has nothing to say."""

    rdp: float
    gaussian: float
    delta: float

    @property
    def epsilon(self) -> float:
        """The epsilon that holds: the lesser of the two."""
        return min(self.rdp, self.gaussian)

    def figures(self) -> dict[str, float | None]:
        """Return both as plain JSON values, None where one has nothing to say."""
        both = {"rdp": self.rdp, "gaussian": self.gaussian}
        return {name: epsilon if math.isfinite(epsilon) else None for name, epsilon in both.items()}


@dataclass(frozen=True, slots=True, eq=False)
class Cost:
    """What mechanisms cost, as figures that add up when they compose, adaptively too.

    `rdp` [ORDERS] is their Renyi divergence. `shift2` is (sensitivity / deviation)^2 of their Gaussian, which
    is near Skellam's noise as `moments` [POWERS] says, but for a chance of `tail`.
    """

    rdp: Vector
    shift2: float
    moments: Vector
    tail: float

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.rdp + other.rdp,
            self.shift2 + other.shift2,
            self.moments + other.moments,
            self.tail + other.tail,
        )

    def __mul__(self, times: int) -> Cost:
        return Cost(times * self.rdp, times * self.shift2, times * self.moments, times * self.tail)


NOTHING = Cost(np.zeros(len(ORDERS)), 0.0, np.zeros(len(POWERS)), 0.0)


def account(mechanisms: Iterable[SkellamMechanism], delta: float, distance: float = 0.0) -> Spent:
    """Return the epsilon at `delta` of all the mechanisms together, by either accountant.

    `distance` bounds the total variation between all the noise as drawn and its law. It counts within `delta`
    1 + e^epsilon times: once with the person, and once without. Raises MisuseError unless
    0 <= distance < delta < 1.
    """
    if not 0 < delta < 1:
        raise MisuseError(f"delta is {delta}; it must lie strictly between 0 and 1")
    if not 0 <= distance < delta:
        raise MisuseError(f"the distance is {distance}; it must lie between 0 and delta, {delta}")
    return _account(tuple(mechanisms), delta, distance)


def epsilon(mechanisms: Iterable[SkellamMechanism], delta: float, distance: float = 0.0) -> float:
    """Return the epsilon of all the mechanisms together, the lesser of the two of `account`."""
    return account(mechanisms, delta, distance).epsilon


def cost(mechanisms: Iterable[SkellamMechanism]) -> Cost:
    """Return what the mechanisms cost together; the order does not matter."""
    return sum((_cost(each) * times for each, times in Counter(mechanisms).items()), NOTHING)


def converted(spent: Cost, delta: float) -> Spent:
    """Return the epsilon of a cost at `delta`."""
    if not spent.rdp.any():
        return Spent(0.0, 0.0, delta)
    rdp = _by_renyi(spent.rdp, delta)
    return Spent(rdp, _by_gaussian(spent, delta, max(2 * rdp, LEAST_EPSILON)), delta)


@lru_cache(maxsize=64)
def _account(mechanisms: tuple[SkellamMechanism, ...], delta: float, distance: float) -> Spent:
    """Return what was spent; the same rounds are asked about again and again."""
    spent = cost(mechanisms)
    if not distance:
        return converted(spent, delta)
    rdp, exact = (_within(attrgetter(name), spent, delta, distance) for name in ("rdp", "gaussian"))
    return Spent(rdp, exact, delta)


def _within(by: Callable[[Spent], float], spent: Cost, delta: float, distance: float) -> float:
    """Return the epsilon of one accountant with the distance inside delta; it may take half of delta.

    From above: an epsilon that is too large takes too much of delta, and what is left gives another that is
    still large enough.
    """
    found = by(converted(spent, delta / 2))
    for _ in range(REFINED):
        left = delta - (1 + math.exp(min(found, MOST_EPSILON))) * distance
        if left < delta / 2:
            return math.inf
        found = by(converted(spent, left))
    return found


@lru_cache(maxsize=256)
def _cost(mechanism: SkellamMechanism) -> Cost:
    if mechanism.sensitivity2 == 0:
        return NOTHING
    rdp, variance = mechanism.rdp(ORDERS), min(mechanism.variance, MOST_VARIANCE)
    if mechanism.length is None or variance < LEAST_VARIANCE:
        return Cost(rdp, math.inf, NOTHING.moments, 0.0)
    entry, shift2 = nearness(variance), mechanism.sensitivity2**2 / (variance - 1 / 12)
    return Cost(rdp, shift2, mechanism.length * entry.moments, mechanism.length * entry.tail)


def _by_renyi(rdp: Vector, delta: float) -> float:
    """Return the epsilon of an RDP curve over ORDERS."""
    candidates = rdp + np.log1p(-1 / ORDERS) - np.log(delta * ORDERS) / (ORDERS - 1)
    return max(0.0, float(candidates.min()))


def _by_gaussian(spent: Cost, delta: float, most: float) -> float:
    """Return the least epsilon, up to `most`, at which the Gaussian and the way to it and back keep to delta.

    From Skellam noise with the person to Gaussian noise with, to Gaussian without, to Skellam without: the
    first and last step cost `apart` in epsilon and, either of them, NEAR of delta.
    """
    if not math.isfinite(spent.shift2) or most > MOST_EPSILON:
        return math.inf
    shift = math.sqrt(spent.shift2)

    def holds(epsilon: float) -> bool:
        twice = 1 + math.exp(epsilon)
        way = apart(spent.moments, NEAR * delta / twice)
        left = delta * (1 - NEAR) - twice * spent.tail
        return epsilon >= 2 * way and math.exp(way) * gaussian.delta(shift, epsilon - 2 * way) <= left

    return least(holds, 0.0, most / 2, most)


def least(
    holds: Callable[[float], bool], low: float, high: float, most: float, tolerance: float = 1e-9
) -> float:
    """Return where `holds` begins, above `low`, within `tolerance` and from above; infinity beyond `most`."""
    while not holds(high):
        low, high = high, 2 * high
        if high > most:
            return math.inf
    while high - low > tolerance * high:
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
