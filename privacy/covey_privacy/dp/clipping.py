"""Adaptive clipping: a norm that follows a quantile of what the devices' vectors measure.

Andrew, Thakkar, McMahan and Ramaswamy 2021, "Differentially Private Learning with Adaptive Clipping".

    clip = AdaptiveClip(norm=1.0, quantile=0.5)
    encoding = Encoding(length + 1, clip.sensitivity, scale, bits, seed)
    message = clip.message(vector)                       # on the device
    vectors, within = clip.read(encoding.decode(ring_sum), people)
    clip = clip.after(within)                            # for the next round

Whether a vector was within the norm is one more coordinate of it, +w/2 or -w/2. Vector and coordinate get the
same noise and are one mechanism, of L2 sensitivity sqrt(C^2 + (w/2)^2), and one charge.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from covey_privacy.dp.encoding import clipped
from covey_privacy.errors import MisuseError

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class AdaptiveClip:
    """One round's clipping norm C, and how the next round's follows from it.

    `quantile` is the share of vectors that are to be within the norm and `rate` how fast it gets there.
    `weight` is w / C: with more of it the share is less noisy and the vectors are more so, since the
    sensitivity is C sqrt(1 + weight^2 / 4). Raises MisuseError for values out of range.
    """

    norm: float
    quantile: float = 0.5
    rate: float = 0.2
    weight: float = 0.2

    def __post_init__(self) -> None:
        if not all(0 < value < math.inf for value in (self.norm, self.rate, self.weight)):
            raise MisuseError(
                f"norm {self.norm}, rate {self.rate}, weight {self.weight}: each must be positive and finite"
            )
        if not 0 < self.quantile < 1:
            raise MisuseError(f"the quantile is {self.quantile}; it must lie strictly between 0 and 1")

    @property
    def sensitivity(self) -> float:
        """The largest L2 norm of a message: that of its round's encoding."""
        return self.norm * math.hypot(1, self.weight / 2)

    def message(self, vector: ArrayLike) -> Vector:
        """Return what a device adds, float64 [n + 1]: the vector [n], clipped, and whether it was within.

        A device that has nothing to say sends zeros instead, this coordinate's too. Raises MisuseError when
        an entry is not finite.
        """
        entries = np.asarray(vector, dtype=np.float64)
        short = clipped(entries, self.norm)
        within = np.array_equal(short, entries)
        return np.append(short, self._unit * (within - 0.5))

    def read(self, total: Vector, people: int) -> tuple[Vector, float]:
        """Return the sum of the clipped vectors, float64 [n], and which share of them was within the norm.

        `total` is the noisy sum of `people` messages, float64 [n + 1]. The noise on the share has the sum's
        standard deviation over w and the people; what it carries below 0 or above 1 is cut off. Raises
        MisuseError when nobody took part.
        """
        if people < 1:
            raise MisuseError(f"a sum of {people} messages was read; at least 1 is needed")
        share = float(total[-1]) / (self._unit * people) + 0.5
        return total[:-1], min(max(share, 0.0), 1.0)

    def after(self, within: float) -> AdaptiveClip:
        """Return the next round's: C exp(-rate (within - quantile)), the share `within` being 0 to 1."""
        return replace(self, norm=self.norm * math.exp(-self.rate * (within - self.quantile)))

    @property
    def _unit(self) -> float:
        """w: how far the two values of the coordinate lie apart."""
        return self.norm * self.weight
