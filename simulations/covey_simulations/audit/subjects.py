"""What is audited: a query asked three times under one budget, and P1's training of three sums.

Households are made up, and few: shares of Skellam noise add up to the same, whoever adds them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covey_models import QUERIES, Catalogue, Question
from covey_models.queries import SEGMENTS
from covey_models.recommender import release, steps
from covey_privacy.manifest import Plan
from covey_server.plan import Size, fit_plan
from covey_server.questions import plan_training

Vector = NDArray[np.float64]
Facts = Mapping[str, Any]

DELTA = 1e-6
PEOPLE = 2500
"""How many people the plans are made for; P1 takes three sums from epsilon 2."""
HONEST = 5
"""Households, whose noise adds up to the whole."""
SHARES = 20
"""Phones whose shares of noise each household adds, so that n_h is HONEST * SHARES. A plan for PEOPLE has so
fine a scale that the sampler's tables end below the share of a much smaller n_h."""
ITEMS = 63
"""Few, so that the vectors are short; the base of 128 entries then has no padding."""


@dataclass(frozen=True)
class Subject:
    """One plan of three steps and how each step's question follows from the sums before it.

    `canaries` are as many as have room in one play; a run is `plays` of them, with new canaries each time.
    """

    name: str
    plan: Plan
    question: Callable[[Sequence[Vector]], Question]
    households: Sequence[Facts]
    canaries: int
    plays: int


NAMES = ("q1", "q20", "p1")


@cache
def subject(name: str) -> Subject:
    """Return what is audited under one of NAMES, with 128 canaries or more in a run.

    P1 takes three sums among so many people from epsilon 2 on.
    """
    return p1(epsilon=2.0) if name == "p1" else query(name, epsilon=1.4, plays={"q1": 32, "q20": 5}[name])


def query(name: str, epsilon: float, plays: int) -> Subject:
    """Return a query, asked three times at `epsilon` in all."""
    asked = QUERIES[name]
    thrice = [Size(name, asked.length, asked.norm, 1 / 3)] * 3
    fitted = fit_plan(thrice, epsilon, PEOPLE, DELTA)
    room = fitted.steps[0].length // 2
    return Subject(name, fitted, lambda _: asked, _shoppers(), room, plays)


def p1(epsilon: float) -> Subject:
    """Return P1's training in three sums at `epsilon`, which must be 2 or more."""
    groups = tuple(f"aisle {item % 4}" for item in range(ITEMS))
    catalogue = Catalogue(tuple(f"item {item}" for item in range(ITEMS)), {"aisle": groups})
    planned = plan_training(epsilon, PEOPLE, ITEMS, DELTA)
    questions = _Training(planned, catalogue)
    return Subject("p1", planned, questions, _baskets(catalogue), planned.steps[0].length // 2, 2)


@dataclass(frozen=True)
class _Training:
    """P1's questions, each from what the server makes of the noisy sums before it."""

    plan: Plan
    catalogue: Catalogue

    def __call__(self, totals: Sequence[Vector]) -> Question:
        """Return the next question."""
        if not totals:
            return steps.base_step(self.catalogue)
        sigmas = [step.sigma for step in self.plan.steps]
        base = release.first_sum(totals[0], sigmas[0], self.catalogue.features())
        if len(totals) == 1:
            return steps.gram_step(self.catalogue, base)
        axes = release.axes(totals[1], sigmas[1], release.rank(self.plan.epsilon))
        return steps.half_step(self.catalogue, base, axes)


def _shoppers() -> list[Facts]:
    """Return households with something to say to every query."""
    return [
        {
            "segment": SEGMENTS[place % len(SEGMENTS)],
            "recency_days": 1.0 + 7 * place,
            "orders": 1.0 + place,
            "mean_order_minor": 500.0 * (1 + place),
        }
        for place in range(HONEST)
    ]


def _baskets(catalogue: Catalogue) -> list[Facts]:
    """Return households that bought every second, every third, ... item."""
    names = catalogue.items
    return [
        {"items": frozenset(names[:: 2 + place]), "adopted": frozenset(names[place :: 2 + place])}
        for place in range(HONEST)
    ]
