"""What rounds cost: Renyi differential privacy of the Skellam mechanism, composed and converted.

The unit is one person whose vectors are replaced by zeros. Nothing is credited for sampling: the server
knows who took part.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from covey_privacy.dp.encoding import Encoding
from covey_privacy.errors import MisuseError

ORDERS: NDArray[np.float64] = np.unique(np.geomspace(2, 2**14, 400).round())
"""The integer Renyi orders over which epsilon is minimised: every one up to about 40, then 2 % apart."""
MOST_SIGMA = 2.0**40
TOLERANCE = 1e-6
"""Relative precision of a calibrated sigma, rounded up by as much lest a sum of floats pass the cap."""


@dataclass(frozen=True, slots=True)
class SkellamMechanism:
    """One noisy integer sum: L2 and L1 sensitivity, and the variance of its Skellam noise, in integer steps.

    The variance is what the fewest honest survivors add together, not what all did.
    """

    sensitivity2: float
    sensitivity1: float
    variance: float

    def __post_init__(self) -> None:
        if not (0 <= self.sensitivity2 <= self.sensitivity1 < math.inf):
            raise MisuseError(
                f"sensitivities L2 {self.sensitivity2}, L1 {self.sensitivity1} came; 0 <= L2 <= L1 must hold"
            )
        if not 0 < self.variance < math.inf:
            raise MisuseError(f"a noise variance of {self.variance} came; it must be positive and finite")

    @classmethod
    def of(cls, encoding: Encoding, sigma: float) -> SkellamMechanism:
        """Return a round's mechanism; `sigma` is the total noise's standard deviation in vector units."""
        return cls(*encoding.sensitivity(), (sigma * encoding.scale) ** 2)

    def rdp(self, orders: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the Renyi divergence bound at each integer order >= 2 (Agarwal, Kairouz, Liu 2021)."""
        l2, l1, mu = self.sensitivity2, self.sensitivity1, self.variance
        gaussian = orders * l2**2 / (2 * mu)
        excess = ((2 * orders - 1) * l2**2 + 6 * l1) / (4 * mu**2)
        return gaussian + np.minimum(excess, 3 * l1 / (2 * mu))


def epsilon(mechanisms: Iterable[SkellamMechanism], delta: float, extra_delta: float = 0.0) -> float:
    """Return the epsilon at `delta` of all the mechanisms together, zero when there are none.

    `extra_delta` is the part of `delta` that covers what the mechanisms leave out, such as the distance of
    sampled noise from its law. Raises MisuseError unless 0 <= extra_delta < delta < 1.
    """
    if not 0 < delta < 1:
        raise MisuseError(f"delta is {delta}; it must lie strictly between 0 and 1")
    if not 0 <= extra_delta < delta:
        raise MisuseError(f"extra_delta is {extra_delta}; it must lie between 0 and delta, {delta}")
    return _epsilon(tuple(mechanisms), delta - extra_delta)


@lru_cache(maxsize=64)
def _epsilon(mechanisms: tuple[SkellamMechanism, ...], delta: float) -> float:
    """Return the epsilon; the same rounds are asked about again and again."""
    rdp = _composed(mechanisms)
    return _converted(rdp, delta) if rdp.any() else 0.0


def calibrate(encoding: Encoding, epsilon: float, delta: float) -> float:
    """Return the least sigma at which one round of this encoding costs at most `epsilon` at `delta`.

    Sigma is the standard deviation of the total noise on each coordinate of the sum, in the vector's units.
    Raises MisuseError when epsilon or delta is out of range, or too small for any noise to reach.
    """
    return calibrate_steps([encoding], [1.0], epsilon, delta)[0]


def calibrate_steps(
    encodings: Sequence[Encoding], shares: Sequence[float], epsilon: float, delta: float
) -> tuple[float, ...]:
    """Return a sigma for each round, at which all of them together cost at most `epsilon` at `delta`.

    Round i gets `shares[i]` of the budget: its sigma is that of the whole budget over sqrt(share), a norm of
    1 taken for granted. Otherwise as `calibrate`.
    """
    if not (0 < epsilon < math.inf and 0 < delta < 1):
        raise MisuseError(f"epsilon {epsilon}, delta {delta}: epsilon must be above 0, delta within (0, 1)")
    if not encodings or len(encodings) != len(shares) or min(shares) <= 0:
        raise MisuseError(f"{len(encodings)} rounds have {len(shares)} shares; each needs one above 0")

    def sigmas(whole: float) -> tuple[float, ...]:
        return tuple(whole / math.sqrt(share) for share in shares)

    def holds(whole: float) -> bool:
        each = map(SkellamMechanism.of, encodings, sigmas(whole))
        return _converted(_composed(each), delta) <= epsilon

    low, high = 0.0, 1 / max(encoding.scale for encoding in encodings)
    while not holds(high):
        low, high = high, 2 * high
        if high > MOST_SIGMA:
            raise MisuseError(f"no noise reaches epsilon {epsilon} at delta {delta}; ask for a larger one")
    while high - low > TOLERANCE * high:
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return sigmas(high * (1 + TOLERANCE))


def noise_share(sigma: float, scale: float, honest: int) -> float:
    """Return the variance, in integer steps, that each device adds when at least `honest` of them do."""
    if honest < 1:
        raise MisuseError(f"the noise is shared among {honest} honest devices; at least 1 is needed")
    return (sigma * scale) ** 2 / honest


def _composed(mechanisms: Iterable[SkellamMechanism]) -> NDArray[np.float64]:
    """Return the RDP curve over ORDERS of all the mechanisms together."""
    return sum((mechanism.rdp(ORDERS) for mechanism in mechanisms), np.zeros(len(ORDERS)))


def _converted(rdp: NDArray[np.float64], delta: float) -> float:
    """Return the epsilon of an RDP curve over ORDERS (Canonne, Kamath, Steinke 2020, proposition 12)."""
    candidates = rdp + np.log1p(-1 / ORDERS) - np.log(delta * ORDERS) / (ORDERS - 1)
    return max(0.0, float(candidates.min()))
