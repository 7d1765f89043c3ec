"""P1 on the device: what it adds to three secure sums, and how the phone ranks items with what comes back.

    popularity(bought), adoption(recent), scalars(bought)   # first sum; the server answers with a Base
    gram(bought, base)                                      # second sum; answered with axes
    half_step(bought, base, axes)                           # third sum; answered with factors
    score(bought, base, factors, mix)                       # never leaves the phone
    parts(bought, base, factors, mix, places)               # what those scores are made of

A history is bool [m], true for each item of the catalogue that was ever bought. Every message is normalised
rather than clipped, so its L2 norm is 1 (`SCALARS_NORM` for the scalars) and no clipping bound has to be
tuned; a history that has nothing to say gives zeros. `release` holds the server's halves.

The half-step is one alternating-least-squares step of matrix factorisation (Hu, Koren and Volinsky, 2008)
from axes found in the Gram matrix of the most popular items alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from covey_models.errors import ModelError

Vector = NDArray[np.float64]
History = NDArray[np.bool_]

TOP = 150
"""The Gram matrix is over this many of the most popular items."""

LONGEST = 400
"""A history counts at most this many items towards the mean length."""

SCALARS_NORM = math.sqrt(2)
"""The largest L2 norm of the scalars."""

_FEWEST_ADOPTED = 16
_TASTE = 1.35
_SATURATION = 3.0
_FLAT = 1e-6
_NOTHING = 1e-12


@dataclass(frozen=True)
class Base:
    """What the first sum tells of each item, float64 [m] each, all above 0.

    `popularity` is its share of all histories and adds up to 1; `rate` is how readily those who lack the item
    took it up. Raises ModelError for any other numbers.
    """

    popularity: Vector
    rate: Vector

    def __post_init__(self) -> None:
        for name, values in (("popularity", self.popularity), ("rate", self.rate)):
            if values.ndim != 1 or values.shape != self.popularity.shape or values.size == 0:
                raise ModelError(
                    f"{name} came as {values.shape}; popularity and rate need one number an item"
                )
            if not (np.isfinite(values).all() and (values > 0).all()):
                raise ModelError(f"{name} has a number that is not finite and above 0")
        if not math.isclose(self.popularity.sum(), 1.0, rel_tol=1e-6):
            raise ModelError(f"popularity adds up to {self.popularity.sum()}, not 1")

    @cached_property
    def weight(self) -> Vector:
        """What a purchase of each item counts, float64 [m]: 1 for the most popular, more for rarer ones."""
        return np.asarray((self.popularity / self.popularity.max()) ** -0.25)

    @cached_property
    def above_average(self) -> tuple[Vector, Vector]:
        """The logarithms of popularity and of rate over those of the average item, float64 [m] each."""
        return np.log(self.popularity * self.popularity.size), np.log(self.rate / self.rate.mean())

    @cached_property
    def top(self) -> NDArray[np.intp]:
        """The places of the `TOP` most popular items, or of all when there are fewer."""
        return np.argsort(-self.popularity, kind="stable")[:TOP]


@dataclass(frozen=True)
class ScoreParts:
    """What the scores of k items are made of, float64: added up, they are the scores.

    `popularity` and `adoption`, [k], hold each item against the average one. `goes_with`, [k, n], is what
    each of the n items bought says, in the order of the catalogue; `average`, [k], takes off what an average
    history of that length would say.
    """

    popularity: Vector
    adoption: Vector
    goes_with: Vector
    average: Vector


def popularity(bought: History) -> Vector:
    """Return the device's share of popularity, float64 [m]: 1 / sqrt(items bought) on each of them."""
    _check(bought)
    return _unit(bought.astype(np.float64))


def adoption(recent: History) -> Vector:
    """Return float64 [m], L2 norm at most 1, from the items first bought lately.

    Fewer than 16 such items weigh as if there were 16: most households adopt few, and no single item is to
    count for much.
    """
    _check(recent)
    return recent / math.sqrt(max(int(recent.sum()), _FEWEST_ADOPTED))


def scalars(bought: History) -> Vector:
    """Return float64 [2]: one person, and how long their history is on a scale of 0 to 1."""
    _check(bought)
    items = int(bought.sum())
    return np.array([float(items > 0), min(items, LONGEST) / LONGEST])


def gram(bought: History, base: Base) -> Vector:
    """Return float64 [N(N+1)/2], the upper triangle of z z^T row by row, z the taste over the N top items.

    Each entry off the diagonal stands for two of the matrix: times sqrt 2 the triangle has the matrix's norm.
    """
    z = _top_taste(_centred(bought, base), base)
    rows, columns, times = _triangle(len(z))
    return np.asarray(z[rows] * z[columns] * times)


def half_step(bought: History, base: Base, axes: Vector) -> Vector:
    """Return float64 [m * d], z g^T row by row: the taste z over all items, its place g along `axes`, [N, d].

    Raises ModelError when `axes` do not fit the top items.
    """
    if axes.ndim != 2 or len(axes) != len(base.top):
        raise ModelError(
            f"axes of shape {axes.shape} came; one row for each of {len(base.top)} items is needed"
        )
    x = _centred(bought, base)
    return np.outer(_unit(x), _unit(axes.T @ _top_taste(x, base))).ravel()


def score(bought: History, base: Base, factors: Vector, mix: float) -> Vector:
    """Return every item's score, float64 [m], the higher the better; -inf for what was bought before.

    An item that is average in all respects scores 0. `factors`, float64 [m, d], are orthonormal columns, or
    none at all where only popularity and adoption were learnt; `mix` weighs the adoption rate against
    popularity, 0 to 1. Raises ModelError when `factors` do not fit the items.
    """
    x = _centred(bought, base)
    _check_factors(factors, len(x))
    lift = factors @ (factors.T @ x) / _expected(bought, base)
    scores = sum(_prior(base, mix)) + _TASTE * np.tanh(lift / _SATURATION)
    scores[bought] = -np.inf
    return np.asarray(scores)


def parts(bought: History, base: Base, factors: Vector, mix: float, places: NDArray[np.intp]) -> ScoreParts:
    """Return what the scores of the items at `places` are made of. See `score`, which knows no own items.

    The lift is linear in the history, so each purchase has its share of it, and the same share of the taste.
    """
    _check(bought)
    _check_factors(factors, len(bought))
    popularity, adoption = (part[places] for part in _prior(base, mix))
    rows = factors[places] / _expected(bought, base)[places, None]
    each = rows @ (factors[bought] * base.weight[bought, None]).T
    average = -rows @ (factors.T @ (bought.sum() * base.popularity * base.weight))
    slope = _slope(each.sum(axis=1) + average)
    return ScoreParts(popularity, adoption, slope[:, None] * each, slope * average)


@lru_cache(maxsize=2)
def _triangle(size: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Vector]:
    """Return where the entries of an upper triangle stand, row by row, and what each is multiplied by."""
    rows, columns = np.triu_indices(size)
    return rows, columns, np.where(rows == columns, 1.0, math.sqrt(2))


def _prior(base: Base, mix: float) -> tuple[Vector, Vector]:
    """Return what popularity and adoption say of items, held against the average one; float64 [m] each."""
    popularity, rate = base.above_average
    return (1 - mix) * popularity, mix * rate


def _expected(bought: History, base: Base) -> Vector:
    """Return how much of each item a history of this length has on average, weighted; float64 [m]."""
    return np.asarray(base.weight * max(int(bought.sum()), 1) * base.popularity)


def _slope(lift: Vector) -> Vector:
    """Return the taste over the lift: its limit where the lift is next to nothing, less the larger it is."""
    flat = np.abs(lift) < _FLAT
    divisor = np.where(flat, 1.0, lift)
    return np.asarray(_TASTE * np.where(flat, 1 / _SATURATION, np.tanh(divisor / _SATURATION) / divisor))


def _check_factors(factors: Vector, items: int) -> None:
    if factors.ndim != 2 or len(factors) != items or not np.isfinite(factors).all():
        raise ModelError(f"factors of shape {factors.shape} came; finite rows for {items} items are needed")


def _check(history: History) -> None:
    if history.ndim != 1 or history.dtype != np.bool_:
        raise ModelError(f"a history is a row of booleans; {history.dtype} {history.shape} came")


def _centred(bought: History, base: Base) -> Vector:
    """Return what sets the history apart from the average one of its length, weighted; float64 [m]."""
    _check(bought)
    if bought.shape != base.popularity.shape:
        raise ModelError(f"a history over {len(bought)} items came; there are {len(base.popularity)}")
    return np.asarray((bought - bought.sum() * base.popularity) * base.weight)


def _top_taste(x: Vector, base: Base) -> Vector:
    """Return the taste over the top items alone, L2 norm 1 again."""
    return _unit(_unit(x)[base.top])


def _unit(vector: Vector) -> Vector:
    """Return the vector at L2 norm 1, or zeros where rounding is all there is."""
    length = float(np.linalg.norm(vector))
    if not math.isfinite(length):
        raise ModelError("a message is not finite; the numbers released by the server cannot be right")
    return vector / length if length > _NOTHING else np.zeros_like(vector)
