"""Mechanisms as values: what one noisy integer sum is, as far as its cost is concerned."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from covey_privacy.dp.encoding import Encoding
from covey_privacy.errors import MisuseError


@dataclass(frozen=True, slots=True)
class SkellamMechanism:
    """One noisy integer sum: L2 and L1 sensitivity, and the variance of its Skellam noise, in integer steps.

    The variance is what the fewest honest devices of a set add together, not what all did. `length` counts
    the entries of the sum; where it is None, nobody wrote it down, and Renyi divergence alone can tell the
    cost.
    """

    sensitivity2: float
    sensitivity1: float
    variance: float
    length: int | None = None

    def __post_init__(self) -> None:
        if not (0 <= self.sensitivity2 <= self.sensitivity1 < math.inf):
            raise MisuseError(
                f"sensitivities L2 {self.sensitivity2}, L1 {self.sensitivity1} came; 0 <= L2 <= L1 must hold"
            )
        if not 0 < self.variance < math.inf:
            raise MisuseError(f"a noise variance of {self.variance} came; it must be positive and finite")
        if self.length is not None and self.length < 1:
            raise MisuseError(f"a sum of {self.length} entries came; it has 1 at least, or None if unknown")

    @classmethod
    def for_encoding(cls, encoding: Encoding, sigma: float) -> SkellamMechanism:
        """Return a round's mechanism; `sigma` is the total noise's standard deviation in vector units."""
        return cls(*encoding.sensitivity(), (sigma * encoding.scale) ** 2, encoding.padded)

    def rdp(self, orders: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the Renyi divergence bound at each integer order >= 2 (Agarwal, Kairouz, Liu 2021)."""
        l2, l1, mu = self.sensitivity2, self.sensitivity1, self.variance
        gaussian = orders * l2**2 / (2 * mu)
        excess = ((2 * orders - 1) * l2**2 + 6 * l1) / (4 * mu**2)
        return gaussian + np.minimum(excess, 3 * l1 / (2 * mu))
