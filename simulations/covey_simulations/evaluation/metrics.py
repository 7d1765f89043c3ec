"""Ranking metrics with binary relevance, and how sure a difference between two rankers is."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

K = 10


def top_k(scores: Iterable[Vector], k: int = K) -> NDArray[np.intp]:
    """Return the places of the k best of each row of `scores`, float64 [items]; the first of equals."""
    return np.array([_best(row, k) for row in scores])


def recall_at(ranked: NDArray[np.intp], relevant: NDArray[np.bool_]) -> Vector:
    """Return each household's recall, float64 [households]: the share of its relevant items in its ranking.

    `ranked` is [households, k], places of items; `relevant` [households, items], with at least one a row.
    """
    return np.asarray(_hits(ranked, relevant).sum(axis=1) / relevant.sum(axis=1))


def ndcg_at(ranked: NDArray[np.intp], relevant: NDArray[np.bool_]) -> Vector:
    """Return each household's normalised discounted cumulative gain, float64 [households].

    The ideal ranking is k relevant items, or all there are when fewer. Shapes as in `recall_at`.
    """
    discount = 1 / np.log2(np.arange(2, ranked.shape[1] + 2))
    best = np.minimum(relevant.sum(axis=1), ranked.shape[1])
    return np.asarray(_hits(ranked, relevant) @ discount / np.cumsum(discount)[best - 1])


def paired_interval(one: Vector, other: Vector, seed: int, resamples: int = 2000) -> tuple[float, float]:
    """Return the 95 % bootstrap percentile interval of mean(one - other) over the same households."""
    difference = one - other
    draw = np.random.Generator(np.random.PCG64(seed))
    means = [float(draw.choice(difference, len(difference)).mean()) for _ in range(resamples)]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def _best(row: Vector, k: int) -> NDArray[np.intp]:
    least = np.partition(row, -k)[-k]
    places = np.flatnonzero(row >= least)
    return places[np.argsort(-row[places], kind="stable")][:k]


def _hits(ranked: NDArray[np.intp], relevant: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.take_along_axis(relevant, ranked, axis=1)
