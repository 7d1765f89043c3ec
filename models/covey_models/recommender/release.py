"""P1 on the server: what is made of each of the three noisy sums.

`on_device` says what devices add. Every `sd` is the standard deviation of the noise on each entry of
the sum it belongs to, 0 for none; nothing here draws noise.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from covey_models.errors import ModelError
from covey_models.recommender.on_device import LONGEST, SCALARS_NORM, Base
from covey_models.recommender.shrinkage import popularity_posterior, shrink_rows
from covey_models.recommender.steps import WEIGHTS

Vector = NDArray[np.float64]

WORTH_THREE_SUMS = 5000
"""Below this many people times epsilon the later sums drown in noise: the first gets the whole budget."""

_SHORTEST = 5.0
_BEYOND_NOISE = 0.05


def rank(epsilon: float) -> int:
    """Return how many axes are worth their noise at a budget of `epsilon`, delta 1e-6; inf for no noise."""
    steps = ((math.inf, 8), (4.0, 4), (2.0, 3))
    return next((axes for least, axes in steps if epsilon >= least), 2)


def mix(epsilon: float, sums: int = 3) -> float:
    """Return the weight of the adoption rate against popularity that `p1.score` takes at this budget.

    After the first sum alone it is 0.35, which did best on the Complete Journey's 28 days from day 309 among
    637 and 1,574 households at epsilon 2 to 7.5.
    """
    if sums == 1:
        return 0.35
    return 0.8 if epsilon >= 4 else 0.5


def three_sums(people: int, epsilon: float) -> bool:
    """Say whether all three sums are worth taking."""
    return people * epsilon >= WORTH_THREE_SUMS


def first_sum(total: Vector, sd: float, features: Vector | None) -> Base:
    """Return the base from the sum of the first step's vectors, float64 [2 m + 2].

    Raises ModelError for a total of another shape or not finite.
    """
    items = (total.size - 2) // 2
    counted, adopted, people = (
        part / WEIGHTS[name] for name, part in zip(WEIGHTS, np.split(total, [items, 2 * items]), strict=True)
    )
    counts = popularity(counted, sd / WEIGHTS["popularity"], features)
    return base(counts, adopted, people * SCALARS_NORM, sd / WEIGHTS["adoption"], features)


def popularity(total: Vector, sd: float, features: Vector | None) -> Vector:
    """Return the popularity sum, float64 [m], with every entry above 0, as the other halves take it.

    `features`, float64 [m, k], are the catalogue's; without them or without noise an entry is at least 0.5.
    Raises ModelError for a total that is not one finite row.
    """
    _check(total, (total.size,))
    if features is None or sd == 0:
        return np.maximum(total, 0.5)
    return popularity_posterior(total, sd, features)


def base(counts: Vector, adoption: Vector, scalars: Vector, sd: float, features: Vector | None) -> Base:
    """Return the base from what `popularity` gave, the adoption sum, float64 [m], and the scalars, [2].

    `sd` is that of the adoption sum. Raises ModelError for totals of another shape or not finite.
    """
    _check(adoption, counts.shape)
    _check(scalars, (2,))
    people = max(float(scalars[0]), 1.0)
    length = min(max(float(scalars[1]) * LONGEST / people, _SHORTEST), LONGEST)
    share = counts / counts.sum()
    owners = np.clip(share * length, 0.0, 0.97)
    adopted = adoption if features is None or sd == 0 else popularity_posterior(adoption, sd, features)
    return Base(share, np.maximum(adopted, 0.3) / (people * (1 - owners) + 20))


def axes(total: Vector, sd: float, count: int) -> Vector:
    """Return float64 [N, count]: the leading eigenvectors of the Gram sum, float64 [N(N+1)/2].

    Each is scaled by how much of it is signal: noise alone has eigenvalues up to sd sqrt(2N), and a
    leading one correlates with the truth accordingly (Benaych-Georges and Nadakuditi, 2011). Fewer than
    `count` when N is smaller. Raises ModelError for a total of no triangle's length, or not finite.
    """
    matrix = _symmetric(total)
    values, vectors = np.linalg.eigh(matrix)
    values, vectors = values[::-1][:count], vectors[:, ::-1][:, :count]
    edge = sd * math.sqrt(2 * len(matrix))
    signal = np.full(len(values), _BEYOND_NOISE)
    above = (values > edge) & (values > 0)
    signal[above] = np.sqrt(1 - (edge / values[above]) ** 2)
    return np.asarray(vectors * signal)


def factors(total: Vector, counts: Vector, sd: float, features: Vector | None) -> Vector:
    """Return orthonormal columns, float64 [m, d], from the half-steps' sum, float64 [m * d].

    `counts`, float64 [m], is what `popularity` gave, or in proportion to it. A direction without weight comes
    as zeros. Raises ModelError for a total that does not divide into rows of items, or is not finite.
    """
    items = len(counts)
    if total.size == 0 or total.size % items:
        raise ModelError(f"a total of {total.size} numbers came; a multiple of {items} items is needed")
    _check(total, (total.size,))
    left, weights, _ = np.linalg.svd(
        shrink_rows(total.reshape(items, -1), counts, sd, features), full_matrices=False
    )
    return np.asarray(left * (weights > 1e-9 * max(float(weights[0]), 1e-3)))


def _symmetric(triangle: Vector) -> Vector:
    """Return the matrix, float64 [N, N], whose upper triangle came with sqrt 2 on its off-diagonals."""
    size = (math.isqrt(8 * triangle.size + 1) - 1) // 2
    if size == 0 or size * (size + 1) // 2 != triangle.size:
        raise ModelError(f"{triangle.size} numbers are not the upper triangle of a square matrix")
    _check(triangle, (triangle.size,))
    half = np.zeros((size, size))
    half[np.triu_indices(size)] = triangle
    np.fill_diagonal(half, half.diagonal() / math.sqrt(2))
    return (half + half.T) / math.sqrt(2)


def _check(total: Vector, shape: tuple[int, ...]) -> None:
    if total.shape != shape or not np.isfinite(total).all():
        raise ModelError(f"a total of shape {total.shape} came; finite numbers of shape {shape} are needed")
