"""What recommending achieved: what phones ranked first, held against what their households went on to buy.

Only a simulation can know it: it looks into every phone, and into the four weeks that follow.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from covey_models.catalogue import Catalogue
from covey_models.recommender.release import WORTH_THREE_SUMS
from covey_models.recommender.steps import BASE, GRAM, HALF_STEP
from covey_simulations.data import histories
from covey_simulations.data.histories import Histories, Household
from covey_simulations.evaluation import (
    metrics,
    plaintext_training,
    ranker_comparison,
    reference_recommenders,
)
from covey_simulations.evaluation.plaintext_training import EXACT, Cohorts, Model
from covey_simulations.evaluation.reference_figures import LABORATORY

__all__ = ["EPSILONS", "SEEDS", "Household", "Training", "recommender"]

Vector = NDArray[np.float64]
Ranked = NDArray[np.intp]
Form = Literal["three_rounds", "one_round"]
Noise = Callable[[float], Mapping[str, float]]

EPSILONS = (1.0, 2.0, 4.0, 8.0)
"""What the effect of epsilon is shown for."""

SEEDS = (1, 2, 3)
"""Draws of the noise that the effect of epsilon is a mean of."""


@dataclass(frozen=True, slots=True)
class Training:
    """How the model came about.

    `people` is how many the form was chosen for, `contributors` the households in the sum of each step that
    was played. `noise` gives the standard deviation on each coordinate of each step's sum at an epsilon, for
    the base alone where that is the form.
    """

    form: Form
    people: int
    epsilon: float
    delta: float
    contributors: Mapping[str, frozenset[int]]
    noise: Noise


def recommender(
    households: Sequence[Household], catalogue: Catalogue, training: Training, shown: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the report's `recommender`; `shown` is its `list`, as it stands.

    Every contributor is among `households`; those whose phones rank nothing are in no mean. Raises RunError
    when a contributor is missing, or nobody bought anything that could be recommended.
    """
    everyone = histories.tabulate_histories(households, catalogue)
    ranking, base = everyone.ranking, everyone.of(training.contributors[BASE])
    cohorts = _cohorts(everyone, training, catalogue.features())
    return {
        "form": training.form,
        "why": _why(training),
        "epsilon": training.epsilon,
        "delta": training.delta,
        "items": len(catalogue.items),
        "new": _new(ranking, base, catalogue, _exact(cohorts, training.form)),
        "again": _again(ranking, base),
        "effect": _effect(ranking, cohorts, training.noise),
        "list": shown,
        "laboratory": LABORATORY,
    }


def _why(training: Training) -> dict[str, float]:
    """Return what the form was chosen by."""
    return {
        "people": training.people,
        "epsilon": training.epsilon,
        "product": training.people * training.epsilon,
        "threshold": WORTH_THREE_SUMS,
    }


def _cohorts(everyone: Histories, training: Training, features: Vector | None) -> Cohorts:
    """Return what each step added up; a step that was not played is taken to be as the base."""
    base = everyone.of(training.contributors[BASE])
    gram, half_step = (
        everyone.of(training.contributors.get(step, training.contributors[BASE])).bought
        for step in (GRAM, HALF_STEP)
    )
    return Cohorts(base.bought, base.adopted, gram, half_step, features)


def _exact(cohorts: Cohorts, form: Form) -> Model:
    """Return the model of the run's own form and cohorts without noise."""
    return plaintext_training.train(cohorts, EXACT if form == "three_rounds" else {BASE: 0.0})


def _new(ranking: Histories, base: Histories, catalogue: Catalogue, exact: Model) -> dict[str, Any]:
    """Return how well each ranker finds what a household buys for the first time."""
    owners = base.bought.sum(axis=0).astype(np.float64)
    rankers = {
        "popularity": _first(itertools.repeat(owners), ranking.bought),
        "alone": _first(reference_recommenders.alone(ranking.bought, catalogue), ranking.bought),
        "federated": ranking.new,
        "noiseless": metrics.top_k(exact.scores(ranking.bought)),
    }
    return ranker_comparison.compare("federated", rankers, ranking.upcoming & ~ranking.bought)


def _again(ranking: Histories, base: Histories) -> dict[str, Any]:
    """Return how well each ranker finds all that a household buys next, most of it once more."""
    days = base.counts.sum(axis=0, dtype=np.float64)
    rankers = {
        "popularity": metrics.top_k(itertools.repeat(days, len(ranking.ids))),
        "gp_topfreq": metrics.top_k(reference_recommenders.gp_topfreq(own, days) for own in ranking.counts),
        "federated": ranking.again,
    }
    return ranker_comparison.compare("federated", rankers, ranking.upcoming)


def _effect(ranking: Histories, cohorts: Cohorts, noise: Noise) -> list[dict[str, Any]]:
    """Return what each epsilon would give, from the plain sums with Gaussian noise of the same sd."""
    rows = [_at(ranking, cohorts, epsilon, noise(epsilon)) for epsilon in EPSILONS]
    model = plaintext_training.train(cohorts)
    return [*rows, {"epsilon": None, "form": "three_rounds", **_means(ranking, model)}]


def _at(ranking: Histories, cohorts: Cohorts, epsilon: float, noise: Mapping[str, float]) -> dict[str, Any]:
    """Return the mean over several draws of the noise."""
    drawn = [_means(ranking, plaintext_training.train(cohorts, noise, epsilon, seed)) for seed in SEEDS]
    mean = {name: float(np.mean([each[name] for each in drawn])) for name in drawn[0]}
    return {"epsilon": epsilon, "form": "three_rounds" if HALF_STEP in noise else "one_round", **mean}


def _means(ranking: Histories, model: Model) -> dict[str, float]:
    return ranker_comparison.means(
        metrics.top_k(model.scores(ranking.bought)), ranking.upcoming & ~ranking.bought
    )


def _first(scores: Iterable[Vector], bought: NDArray[np.bool_]) -> Ranked:
    """Return the first ten of what each household has not bought."""
    return metrics.top_k(np.where(own, -np.inf, row) for row, own in zip(scores, bought, strict=False))
