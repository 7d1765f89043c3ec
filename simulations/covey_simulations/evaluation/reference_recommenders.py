"""Reference recommenders that see everything in one place: what a private one is measured against.

Each takes who ever bought what, bool [households, items], or how often, and gives scores of that shape.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from covey_models.catalogue import Catalogue

Vector = NDArray[np.float64]
Bought = NDArray[np.bool_]


def popularity(bought: Bought) -> Vector:
    """Return the number of households that bought each item, the same for everyone."""
    return np.tile(bought.sum(axis=0).astype(np.float64), (len(bought), 1))


def alone(bought: Bought, catalogue: Catalogue) -> Iterator[Vector]:
    """Yield what a phone can tell from its own history and the public taxonomy, nothing learnt from others.

    For each level of the taxonomy the share of the household's items that are in the item's group, added up.
    """
    levels = [np.unique(np.array(groups), return_inverse=True)[1] for groups in catalogue.levels.values()]
    return (_shares(own, levels) for own in bought)


def _shares(own: Bought, levels: Sequence[NDArray[np.intp]]) -> Vector:
    scores = np.zeros(len(own))
    for place in levels:
        scores += np.bincount(place, own)[place]
    return np.asarray(scores / max(own.sum(), 1))


def gp_topfreq(counts: NDArray[np.integer | np.floating], popularity: Vector) -> Vector:
    """Return personal frequency, global popularity as tie-break (GP-TopFreq; Li et al., TOIS 2023).

    `counts`, [households, items] or one household's [items], is how often each item was bought; `popularity`,
    [items], is at least 0 and never outweighs one purchase.
    """
    return np.asarray(counts + popularity / (popularity.max() + 1))


def ease(bought: Bought, penalty: float = 1000.0) -> Vector:
    """Return the scores of the embarrassingly shallow autoencoder (Steck, WWW 2019)."""
    history = bought.astype(np.float64)
    inverse = np.linalg.inv(history.T @ history + penalty * np.eye(bought.shape[1]))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    return np.asarray(history @ weights)


def implicit_als(
    bought: Bought,
    rank: int = 32,
    unobserved: float = 1.0,
    penalty: float = 0.01,
    sweeps: int = 12,
    seed: int = 0,
) -> Vector:
    """Return the scores of implicit alternating least squares (Hu, Koren and Volinsky, 2008).

    Regularised by frequency, with the names and scaling of Rendle et al. (RecSys 2022): `unobserved` is their
    alpha0, and nu is 1. The defaults did best on the Complete Journey's 28 days from day 309, before the test
    window.
    """
    draw = np.random.Generator(np.random.PCG64(seed))
    items = draw.normal(0.0, 0.1 / np.sqrt(rank), (bought.shape[1], rank))
    people = np.zeros((len(bought), rank))
    for _ in range(sweeps):
        people = _solved(bought, items, unobserved, penalty)
        items = _solved(bought.T, people, unobserved, penalty)
    return people @ items.T


def _solved(observed: Bought, fixed: Vector, unobserved: float, penalty: float) -> Vector:
    """Return the best vector for each row of `observed` while those of its columns, `fixed`, stay."""
    everywhere = unobserved * fixed.T @ fixed
    solved = np.empty((len(observed), fixed.shape[1]))
    for place, row in enumerate(observed):
        chosen = fixed[row]
        ridge = penalty * (len(chosen) + unobserved * len(fixed))
        matrix = everywhere + chosen.T @ chosen + ridge * np.eye(fixed.shape[1])
        solved[place] = np.linalg.solve(matrix, chosen.sum(axis=0))
    return solved
