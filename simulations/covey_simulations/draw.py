"""What the simulation decides by lot: who allows what, who changes their mind, whose phone goes dark.

All of it follows from the seed and the household, so that a run can be repeated. None of it is randomness
that privacy rests on: that comes from the operating system alone.
"""

from __future__ import annotations

from functools import cache

import numpy as np

PERSONALIZE, ANALYTICS, TRAIN = 0.85, 0.80, 0.75
"""Shares: of everyone who allows personalisation, and of those who allow statistics and training."""
WITHDRAW = 0.05
"""Of those who allow statistics, the share that withdraws it between the two rounds."""
GO_DARK = 0.01
"""Of the phones in a round, the share that goes silent before it sends, and again before it unmasks."""

_GRANTS, _WITHDRAWAL, _DARK = 2, 3, 4


def grants(seed: int, household: int) -> tuple[str, ...]:
    """Return the purposes that a household grants; some grant nothing."""
    personalize, analytics, train = _uniform(seed, _GRANTS, household).random(3)
    if personalize >= PERSONALIZE:
        return ()
    chosen = (("analytics", analytics < ANALYTICS), ("train", train < TRAIN))
    return ("personalize", *(purpose for purpose, granted in chosen if granted))


def withdraws(seed: int, household: int) -> bool:
    """Say whether a household that allows statistics takes that back between the rounds."""
    return bool(_uniform(seed, _WITHDRAWAL, household).random() < WITHDRAW)


@cache
def goes_dark(seed: int, household: int, query: str) -> str:
    """Return the phase from which on the phone is silent in the round for `query`, or nothing."""
    chance = _uniform(seed, _DARK, household, *query.encode()).random()
    return "mask" if chance < GO_DARK else "open" if chance < 2 * GO_DARK else ""


def _uniform(*key: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(key))
