"""How near Skellam noise is to rounded Gaussian noise, entry by entry.

An integer plus a rounded Gaussian is post-processing of the Gaussian mechanism, whose cost is known exactly
(`gaussian`). Skellam noise of variance mu is held against the rounded Gaussian of s^2 = mu - 1/12, which has
the same variance. With w = sqrt(mu^2 + k^2), both laws lie between elementary functions:

    P(k) sqrt(2 pi w)   e^A  in [1 + 1/(8w) - k^2/(2w^3), e^(1/(8w) + 1/(8w^2))]
    Q(k) sqrt(2 pi s^2) e^B  in [e^(-k^4/(2880 s^8) - k^2/(480 s^6)), e^(1/(128 s^4))]

    A = k asinh(k/mu) - k^2/(w + mu),    B = k^2/(2s^2) - k^2/(24 s^4) + 1/(24 s^2)

The first: shift the contour of P(k) = 1/2pi int e^(-mu(1 - cos t)) cos(kt) dt by i asinh(k/mu), which leaves
e^-A 1/2pi int e^(-w(1 - cos t)) cos(k(t - sin t)) dt; put v = 2 sin(t/2), and 1 - x^2/2 <= cos x <= 1. The
second: Q(k) is the integral of the density over a cell; with h = k/(2 s^2) and u in the cell, Jensen's
inequality, ln(sinh h / h) in [h^2/6 - h^4/180, h^2/6], and u^2 in [1/12, 1/12 + h^2/60] on average. They meet
to within O(1/mu^2), while ln(P/Q) is about (z^4 - 6z^2 + 3)/(24 mu) at z standard deviations: a Skellam law
has a little more in its tails, and a large variance makes that vanish.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

POWERS: Vector = np.exp2(np.arange(4.0, 24.0))
"""The powers of the likelihood ratio whose moments are bounded."""
LEAST_VARIANCE = 1000.0
"""Below it the bounds are not claimed, and the two laws too far apart to be of use."""
MOST_VARIANCE = 2.0**31
"""Above it the sums would be long. More noise only hides more: a larger variance may be taken for this."""
REACH = 9.5
"""Standard deviations that are looked at; what lies beyond is a chance of less than 2^-63 for each entry."""
ROUNDING = 1e-13
"""More than floating point adds to a logarithm here."""


@dataclass(frozen=True, slots=True, eq=False)
class Nearness:
    """One entry: ln E[ratio^power] over POWERS, either law over the other, but for a chance of `tail`."""

    moments: Vector
    tail: float


@functools.lru_cache(maxsize=64)
def nearness(variance: float) -> Nearness:
    """Return how near Skellam noise of a variance, LEAST_VARIANCE to MOST_VARIANCE, is to the Gaussian's."""
    mu, s2 = variance, variance - 1 / 12
    k = np.arange(math.ceil(REACH * math.sqrt(mu)) + 1.0)
    w, k2 = np.hypot(k, mu), k * k
    wider = k2 / (w + mu)
    chernoff = k * np.arcsinh(k / mu) - wider
    gauss = k2 / (2 * s2) - k2 / (24 * s2**2) + 1 / (24 * s2)
    log_ratio = gauss - chernoff - np.log1p((wider + 1 / 12) / s2) / 2
    p_most = 1 / (8 * w) + 1 / (8 * w**2) + ROUNDING
    p_least = np.log1p(1 / (8 * w) - k2 / (2 * w**3)) - ROUNDING
    q_most = 1 / (128 * s2**2)
    q_least = -(k2**2) / (2880 * s2**4) - k2 / (480 * s2**3)
    p = np.exp(p_most - chernoff) / np.sqrt(2 * math.pi * w)
    q = np.exp(q_most - gauss) / math.sqrt(2 * math.pi * s2)
    over = _moments(p, log_ratio + p_most - q_least)
    under = _moments(q, q_most - log_ratio - p_least)
    return Nearness(np.log(np.maximum(over, under)) + ROUNDING * POWERS, 2 * math.exp(-chernoff[-1]))


def apart(moments: Vector, delta: float) -> float:
    """Return the epsilon within which two laws are at `delta`, of the moments of their ratio over POWERS.

    Canonne, Kamath, Steinke 2020, proposition 12. Moments of independent entries, and of rounds, add up.
    """
    constant = POWERS * np.log1p(-1 / (POWERS + 1)) - np.log(POWERS + 1)
    return max(0.0, float(((moments + constant - math.log(delta)) / POWERS).min()))


def _moments(law: Vector, log_ratio: Vector) -> Vector:
    """Return the sums over all integers of law * ratio^power, for each of POWERS; both are even functions."""
    both_sides, ratio = np.concatenate((law[:1], 2 * law[1:])), np.exp(POWERS[0] * log_ratio)
    sums = []
    with np.errstate(over="ignore"):
        for _ in POWERS:
            sums.append(float((both_sides * ratio).sum()))
            ratio = ratio * ratio
    return np.array(sums)
