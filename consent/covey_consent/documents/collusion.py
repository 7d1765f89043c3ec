"""The collusion figure: what still protects a person if the registry and the coordinator work together.

They can fill a round with made-up phones and take out what those added. What is left is one person's own
share of the noise: of a sigma^2 that n_h honest devices add up to, sigma^2 / n_h.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from covey_privacy.dp import SkellamMechanism, account
from covey_privacy.manifest import Manifest

MEANINGFUL = math.log(999)
"""The epsilon from which someone who wonders about a person may be right 999 times in 1,000."""


@dataclass(frozen=True, slots=True)
class CollusionFigure:
    """The epsilon that holds at a delta, of one person's own noise alone."""

    epsilon: float
    delta: float

    @property
    def is_meaningful(self) -> bool:
        """Whether someone can be wrong about the person more often than once in a thousand."""
        return self.epsilon <= MEANINGFUL

    def __str__(self) -> str:
        if not math.isfinite(self.epsilon):
            return "no meaningful bound: no finite epsilon"
        stated = f"epsilon {self.epsilon:,.1f} at delta {self.delta:g}"
        return stated if self.is_meaningful else f"no meaningful bound: {stated}"


def mechanisms_of(manifest: Manifest) -> tuple[SkellamMechanism, ...]:
    """Return what a person gives: the whole training where the round is a step of one, else the round."""
    steps = manifest.plan.steps if manifest.plan else (manifest.as_step,)
    return tuple(step.mechanism for step in steps)


def find_collusion(given: Sequence[SkellamMechanism], honest: int, delta: float) -> CollusionFigure:
    """Return the figure for all of what a person gives; `honest` is n_h, the same in each."""
    alone = [replace(each, variance=each.variance / honest) for each in given]
    return CollusionFigure(account(alone, delta).epsilon, delta)


def bound_odds(epsilon: float, delta: float) -> float:
    """Return how often, at most, someone tells rightly which of two equally likely cases holds for a person.

    A probability from 0.5, a guess, to 1 (Kairouz, Oh, Viswanath 2015).
    """
    return 1 - (1 - delta) / (1 + math.exp(min(epsilon, 700)))
