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
"""Of those who allow statistics, or training, the share that withdraws it between two rounds."""
EVERYTHING = 0.5
"""Of those who withdraw training, the share that withdraws personalisation, and with it all, at once."""
GO_DARK = 0.01
"""Of the phones in a round, the share that is silent when messages are sent, and again of the decryptors when
they are to open."""

_GRANTS, _WITHDRAWAL, _DARK, _LEAVING = 2, 3, 4, 5


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


def leaves_training(seed: int, household: int, step: int) -> str:
    """Return the purpose that a household which allows training withdraws after a step of it, or nothing."""
    leaves, everything = _uniform(seed, _LEAVING, household, step).random(2)
    if leaves >= WITHDRAW:
        return ""
    return "personalize" if everything < EVERYTHING else "train"


@cache
def goes_dark(seed: int, household: int, query: str) -> str:
    """Return the exchange in which the phone is silent in the round for `query`, or nothing."""
    chance = _uniform(seed, _DARK, household, *query.encode()).random()
    return "contribute" if chance < GO_DARK else "open" if chance < 2 * GO_DARK else ""


def _uniform(*key: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(key))
