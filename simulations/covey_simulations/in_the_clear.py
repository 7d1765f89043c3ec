"""P1 in the clear: every device takes part and no noise is added, as the best that privacy can come to."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from covey_models import p1, p1_release
from covey_simulations.purchases import Purchases

Vector = NDArray[np.float64]


def p1_scores(purchases: Purchases) -> Vector:
    """Return each household's scores, float64 [households, items], as its phone would compute them."""
    features = purchases.catalogue.features()
    bought = purchases.bought
    counts = p1_release.popularity(_sum(p1.popularity, bought), 0.0, features)
    base = p1_release.base(
        counts, _sum(p1.adoption, purchases.recent), _sum(p1.scalars, bought), 0.0, features
    )
    gram = _sum(lambda one: p1.gram(one, base), bought)
    axes = p1_release.axes(gram, 0.0, p1_release.rank(math.inf))
    steps = _sum(lambda one: p1.half_step(one, base, axes), bought)
    factors = p1_release.factors(steps, counts, 0.0, features)
    return np.array([p1.score(one, base, factors, p1_release.mix(math.inf)) for one in bought])


def _sum(message: Callable[[NDArray[np.bool_]], Vector], histories: NDArray[np.bool_]) -> Vector:
    """Return the sum of what the devices add."""
    total = message(histories[0])
    for history in histories[1:]:
        total = total + message(history)
    return total
