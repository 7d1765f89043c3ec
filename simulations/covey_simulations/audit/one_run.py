"""The one-run audit: a lower bound on epsilon, from how many canaries an auditor finds in one release.

Steinke, Nasr and Jagielski 2023, "Privacy Auditing with One (1) Training Run". Each of m canaries takes part
with probability 1/2, independently. From what was released the auditor gives each a score, and guesses for r
of them, r fixed beforehand, whether they took part: yes for the highest scores, no for the lowest. Under
(epsilon, delta)-differential privacy each guess is right with odds of e^epsilon to 1 at best, but for delta.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from covey_simulations.errors import SetupError

CONFIDENCE = 0.95
PRECISION = 1e-6


def lower_bound(canaries: int, guesses: int, right: int, delta: float) -> float:
    """Return the largest epsilon that is refuted, at CONFIDENCE and this delta; 0 when none is.

    Raises SetupError unless 0 <= right <= guesses <= canaries and 0 <= delta <= 1.
    """

    def refuted(epsilon: float) -> bool:
        return p_value(canaries, guesses, right, epsilon, delta) <= 1 - CONFIDENCE

    low, high = 0.0, 1.0
    if not refuted(low):
        return 0.0
    while refuted(high):
        low, high = high, 2 * high
    while high - low > PRECISION:
        middle = (low + high) / 2
        low, high = (middle, high) if refuted(middle) else (low, middle)
    return low


def p_value(canaries: int, guesses: int, right: int, epsilon: float, delta: float) -> float:
    """Return how probable so many right guesses are at most, under (epsilon, delta)-DP (theorem 5.2).

    With f(v) = P[Binomial >= v], it is f(v) + 2 m delta max_i (f(v - i) - f(v)) / i. Raises SetupError as
    `lower_bound` does.
    """
    if not (0 <= right <= guesses <= canaries and 0 <= delta <= 1 and epsilon >= 0):
        raise SetupError(
            f"{right} right of {guesses} guesses on {canaries} canaries, epsilon {epsilon}, delta {delta}: "
            "expected 0 <= right <= guesses <= canaries, 0 <= epsilon, 0 <= delta <= 1"
        )
    tails = _tails(guesses, epsilon)
    nearer = tails[:right][::-1] - tails[right]
    slack = (nearer / np.arange(1, right + 1)).max(initial=0.0)
    return min(1.0, float(tails[right] + 2 * canaries * delta * slack))


def right_guesses(scores: NDArray[np.float64], took_part: NDArray[np.bool_], guesses: int) -> int:
    """Return how many guesses are right: half of them yes, on the highest scores, half no, on the lowest.

    `scores` and `took_part` are [m]; the higher a score, the likelier its canary took part.
    """
    order = np.argsort(scores, kind="stable")
    yes = guesses // 2
    no = guesses - yes
    return int(took_part[order[len(order) - yes :]].sum() + (~took_part[order[:no]]).sum())


def _tails(trials: int, epsilon: float) -> NDArray[np.float64]:
    """Return P[X >= k] for k = 0 to trials, X binomial with odds of success e^epsilon to 1."""
    k = np.arange(trials + 1)
    chosen = [math.lgamma(trials + 1) - math.lgamma(i + 1) - math.lgamma(trials - i + 1) for i in k]
    log = np.array(chosen) - (trials - k) * epsilon - trials * math.log1p(math.exp(-epsilon))
    return np.asarray(np.minimum(np.exp(log)[::-1].cumsum()[::-1], 1.0))
