"""P1 in one place: the plain sums of what devices add, with as much noise as is asked for, or none."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from covey_models.recommender import on_device, release, steps
from covey_models.recommender.steps import BASE, GRAM, HALF_STEP
from covey_simulations.data.purchases import Purchases

Vector = NDArray[np.float64]
Bought = NDArray[np.bool_]

EXACT: Mapping[str, float] = MappingProxyType({BASE: 0.0, GRAM: 0.0, HALF_STEP: 0.0})
"""Every step, and no noise in any of them."""


@dataclass(frozen=True, eq=False)
class Cohorts:
    """The histories that each step adds up, bool [households, items], and the catalogue's features.

    `recent` is what the households of `base` adopted lately.
    """

    base: Bought
    recent: Bought
    gram: Bought
    half_step: Bought
    features: Vector | None


@dataclass(frozen=True, eq=False)
class Model:
    """What phones rank with: `factors`, float64 [items, d], have no columns when the base stands alone."""

    base: on_device.Base
    factors: Vector
    mix: float

    def scores(self, bought: Bought) -> Iterator[Vector]:
        """Yield each household's scores, float64 [items], -inf for what it bought."""
        return (on_device.score(one, self.base, self.factors, self.mix) for one in bought)


def train(
    cohorts: Cohorts, noise: Mapping[str, float] = EXACT, epsilon: float = math.inf, seed: int = 0
) -> Model:
    """Return the model of the steps that `noise` names, with Gaussian noise of these standard deviations.

    `noise` gives that of each coordinate a step adds up; the base is one vector of norm 1 or less. `epsilon`
    chooses how many axes there are and how the prior is mixed.
    """
    draw = np.random.Generator(np.random.PCG64(seed))
    base = _base(cohorts, noise[BASE], draw)
    mix = release.mix(epsilon, len(noise))
    if HALF_STEP not in noise:
        return Model(base, np.zeros((len(base.popularity), 0)), mix)
    gram = _sum(lambda one: on_device.gram(one, base), cohorts.gram)
    axes = release.axes(_noisy(gram, noise[GRAM], draw), noise[GRAM], release.rank(epsilon))
    steps = _sum(lambda one: on_device.half_step(one, base, axes), cohorts.half_step)
    total, sd = _noisy(steps, noise[HALF_STEP], draw), noise[HALF_STEP]
    return Model(base, release.factors(total, base.popularity, sd, cohorts.features), mix)


def p1_scores(purchases: Purchases) -> Vector:
    """Return each household's scores, float64 [households, items], when all took part, without noise."""
    bought = purchases.bought
    cohorts = Cohorts(bought, purchases.recent, bought, bought, purchases.catalogue.features())
    return np.array(list(train(cohorts).scores(bought)))


def _base(cohorts: Cohorts, sd: float, draw: np.random.Generator) -> on_device.Base:
    """Return the base from one sum with noise of `sd` on each coordinate."""
    vectors = map(steps.first_vector, cohorts.base, cohorts.recent)
    return release.first_sum(_noisy(_added(vectors), sd, draw), sd, cohorts.features)


def _noisy(total: Vector, sd: float, draw: np.random.Generator) -> Vector:
    return total + draw.normal(0.0, sd, total.shape)


def _sum(message: Callable[[Bought], Vector], histories: Bought) -> Vector:
    """Return the sum of what the devices add."""
    return _added(map(message, histories))


def _added(vectors: Iterator[Vector]) -> Vector:
    total = next(vectors).copy()
    for vector in vectors:
        total += vector
    return total
