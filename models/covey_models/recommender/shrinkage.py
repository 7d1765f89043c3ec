"""Shrinkage: noisy sums drawn towards what the public taxonomy predicts, as far as the noise explains them.

Empirical Bayes in the manner of Efron and Morris (1973): within a bin of like entries the spread beyond the
noise tells how much of a deviation to believe. `sd` is the standard deviation of the noise on each entry.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

_POPULARITY_BINS = 12
_FACTOR_BINS = 25


def popularity_posterior(noisy: Vector, sd: float, features: Vector) -> Vector:
    """Return a noisy histogram, float64 [m], shrunk towards its ridge regression on `features`, [m, k].

    Every entry is at least 0.15 sd. `sd` is above 0.
    """
    least = 0.3 * float(np.median(np.maximum(noisy, 0.0))) + 0.1 * sd
    prior = np.maximum(_ridge(noisy, features), least)
    return np.maximum(prior + _shrunk(noisy - prior, sd, prior, _POPULARITY_BINS), 0.15 * sd)


def shrink_rows(noisy: Vector, popularity: Vector, sd: float, features: Vector | None) -> Vector:
    """Return noisy item rows, float64 [m, d], shrunk towards their regression, or to 0 without `features`.

    Rows grow with the square root of `popularity`, float64 [m], so the regression is of rows over that.
    """
    if sd == 0:
        return noisy
    scale = np.sqrt(popularity)[:, None]
    prior = np.zeros_like(noisy) if features is None else scale * _ridge(noisy / scale, features)
    return prior + _shrunk(noisy - prior, sd, popularity, _FACTOR_BINS)


def _ridge(targets: Vector, features: Vector) -> Vector:
    """Return what ridge regression with penalty 1 on `features` predicts of `targets`, in their shape."""
    penalised = features.T @ features + np.eye(features.shape[1])
    return np.asarray(features @ np.linalg.solve(penalised, features.T @ targets))


def _shrunk(residual: Vector, sd: float, order: Vector, bins: int) -> Vector:
    """Return `residual` times v / (v + sd^2), v the variance beyond the noise in bins of like `order`."""
    kept = np.empty_like(residual)
    for places in np.array_split(np.argsort(order, kind="stable"), min(bins, len(order))):
        variance = max(float(np.mean(residual[places] ** 2)) - sd**2, 0.05 * sd**2)
        kept[places] = residual[places] * (variance / (variance + sd**2))
    return kept
