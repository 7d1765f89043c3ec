"""Histograms: a device says which bin it is in, the server reads quantiles from the noisy counts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from covey_models.errors import ModelError

Fact = float | str | frozenset[str] | None
"""What a device may know about its owner: a number, a name or a set of names; None is unknown."""


@dataclass(frozen=True, slots=True)
class LogBins:
    """`count` public bins, log-spaced from `low` to `high`, both in the fact's own units.

    Bin 0 takes everything below `low`, the last everything from `high` on.
    """

    low: float
    high: float
    count: int = 32

    def __post_init__(self) -> None:
        if not (0 < self.low < self.high < math.inf and self.count >= 3):
            raise ModelError(
                f"bins from {self.low} to {self.high}, {self.count} of them, cannot be; "
                "0 < low < high and at least 3 bins are needed"
            )

    @property
    def edges(self) -> NDArray[np.float64]:
        """The bounds between bins, float64 [count - 1], ascending; bin i ends before edge i."""
        return np.geomspace(self.low, self.high, self.count - 1)

    def index(self, value: Fact) -> int:
        """Return the bin that holds `value`. Raises ModelError when it is not a finite number."""
        if value is None or isinstance(value, str | frozenset) or not math.isfinite(value):
            raise ModelError(f"a histogram over log bins takes a finite number; {value!r} came")
        return int(np.searchsorted(self.edges, value, side="right"))

    def median(self, counts: NDArray[np.float64], least: float = 0.0) -> float | None:
        """Return the median that noisy counts, float64 [count], put on the values.

        Interpolated geometrically within its bin; `low` or `high` when it lies in an outer one. None when
        the counts add up to no more than `least`.
        """
        total = float(counts.sum())
        if total <= max(least, 0.0):
            return None
        cumulative = np.concatenate(([0.0], monotone(np.cumsum(counts))))
        here = int(np.searchsorted(cumulative[1:], total / 2))
        before, after = cumulative[here], cumulative[here + 1]
        ends = np.concatenate(([self.low], self.edges, [self.high]))
        fraction = (total / 2 - before) / (after - before)
        return float(ends[here] * (ends[here + 1] / ends[here]) ** fraction)


@dataclass(frozen=True, slots=True)
class Categories:
    """One bin for each of the `names`, in their order."""

    names: tuple[str, ...]

    @property
    def count(self) -> int:
        """The number of bins."""
        return len(self.names)

    def index(self, value: Fact) -> int:
        """Return the place of the name `value`. Raises ModelError when it is not among the names."""
        if value not in self.names:
            raise ModelError(f"{value!r} is not one of the names counted here: {', '.join(self.names)}")
        return self.names.index(str(value))


Bins = LogBins | Categories


def one_hot(index: int, length: int) -> NDArray[np.float64]:
    """Return float64 [length], 1 at `index` and 0 elsewhere. Raises ModelError when index is outside."""
    if not 0 <= index < length:
        raise ModelError(f"bin {index} does not exist among {length}")
    vector = np.zeros(length)
    vector[index] = 1.0
    return vector


def monotone(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a non-decreasing sequence: halfway between the least one above `values` and the greatest below.

    Noise pushes the one up as far as the other down, so their middle leans to neither side.
    """
    above = np.maximum.accumulate(values)
    below = np.minimum.accumulate(values[::-1])[::-1]
    return (above + below) / 2


def suppressed(counts: NDArray[np.float64], least: float) -> list[int | None]:
    """Return the counts as whole numbers, None where one is below `least`."""
    return [round(float(count)) if count >= least else None for count in counts]
