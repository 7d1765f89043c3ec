"""What a run asks: queries, each one round whose histogram is released, and the training P1.

A training has one secure sum a step, all of them under one budget plan that is fixed before the first. A step
that cannot be finished ends its training: what it may have charged is spent, and a plan is never stretched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covey_models import QUERIES, Catalogue, Question
from covey_models.recommender import release, steps
from covey_models.recommender.on_device import TOP, Base
from covey_models.recommender.steps import AXES, BASE, CATALOGUE, GRAM, HALF_STEP, MODEL, SHARES
from covey_privacy.dp import epsilon
from covey_privacy.manifest import Plan, Step
from covey_privacy.release import open_release
from covey_server.catalogue import publish_catalogue, read_catalogue
from covey_server.config import RequestedQuery
from covey_server.errors import ConfigError
from covey_server.plan import Size, fit_plan
from covey_server.round_runner import RoundRunner
from covey_server.store import SignedRelease, Training

Vector = NDArray[np.float64]


def answer_query(requested: RequestedQuery, runner: RoundRunner) -> None:
    """Run one round of a query and publish what it gave; a round that was stopped goes on.

    Raises PrivacyError when it cannot be finished.
    """
    query = QUERIES[requested.name]

    def fit(issued: int) -> tuple[Step, float]:
        size = Size(query.id, query.length, query.norm)
        (step,) = fit_plan([size], requested.epsilon, issued, runner.policy.delta).steps
        return step, requested.epsilon

    running = runner.resume(query) or runner.begin(query, fit, runner.store.releases(query.builds_on))

    def publish(round_id: str, total: Vector, sd: float) -> tuple[dict[str, Any], SignedRelease]:
        published = query.release(total, sd, k_min=running.manifest.least_cell)
        return published, runner.release(query.id, round_id, published)

    runner.run(running, query, publish)


@dataclass(frozen=True)
class _Public:
    """What is public so far: the items, and what earlier steps released."""

    catalogue: Catalogue
    documents: Mapping[str, bytes]
    operator: bytes

    def array(self, release: str, name: str) -> Vector:
        return open_release(self.documents[release], self.operator).array(name)

    @property
    def base(self) -> Base:
        return Base(self.array(BASE, "popularity"), self.array(BASE, "rate"))


def run_training_step(requested: RequestedQuery, runner: RoundRunner) -> None:
    """Run the next step of the open training, or the first of a new one; a step that was stopped goes on.

    Raises PrivacyError or RoundError when it cannot be finished; the training is over then.
    """
    if runner.config.catalogue is None:
        raise ConfigError("a training needs the shop's items; name their file as catalogue")
    catalogue = read_catalogue(runner.config.catalogue)
    publish_catalogue(catalogue, runner.store, runner.operator)
    training = runner.store.training() or _planned(requested.epsilon, catalogue, runner)
    if training.plan.epsilon != requested.epsilon:
        raise ConfigError(
            f"a training at epsilon {training.plan.epsilon:g} is under way; it goes on at that epsilon only"
        )
    step = training.plan.steps[training.step]
    names = steps.BUILDS_ON[step.query]
    documents = dict(zip(names, runner.store.releases(names), strict=True))
    public = _Public(catalogue, documents, runner.operator.public)
    question = _question(step.query, public)

    def fit(_: int) -> tuple[Step, float]:
        return step, epsilon([step.mechanism], runner.policy.delta)

    running = runner.resume(question) or runner.begin(question, fit, tuple(documents.values()), training)
    read = _reading(question, training.plan, public)

    def publish(round_id: str, total: Vector, sd: float) -> tuple[dict[str, Any], SignedRelease]:
        published = read(total, sd)
        return published, _release(training, public, runner, round_id, published)

    runner.run(running, question, publish)


def plan_training(epsilon: float, people: int, items: int, delta: float) -> Plan:
    """Return the steps that `epsilon` is worth among so many people who hold tickets, over so many items.

    Three sums, or the first alone with the whole budget where the later ones would drown in noise.
    """
    first = Size(BASE, 2 * items + 2, 1.0)
    if not release.three_sums(people, epsilon):
        return fit_plan([first], epsilon, people, delta)
    top = min(TOP, items)
    lengths = {
        BASE: first.length,
        GRAM: top * (top + 1) // 2,
        HALF_STEP: items * min(release.rank(epsilon), top),
    }
    sizes = [Size(step, length, 1.0, SHARES[step]) for step, length in lengths.items()]
    return fit_plan(sizes, epsilon, people, delta)


def _planned(epsilon: float, catalogue: Catalogue, runner: RoundRunner) -> Training:
    people = runner.admission(steps.base_step(catalogue)).people
    return Training(plan_training(epsilon, people.issued, len(catalogue.items), runner.policy.delta))


def _question(query: str, public: _Public) -> Question:
    if query == BASE:
        return steps.base_step(public.catalogue)
    if query == GRAM:
        return steps.gram_step(public.catalogue, public.base)
    return steps.half_step(public.catalogue, public.base, public.array(AXES, "axes"))


def _reading(question: Question, plan: Plan, public: _Public) -> Callable[[Vector, float], dict[str, Any]]:
    """Return what makes a step's noisy total into what is published of it."""
    features = public.catalogue.features()

    def base(total: Vector, sd: float) -> dict[str, Any]:
        read = release.first_sum(total, sd, features)
        return {"popularity": read.popularity, "rate": read.rate}

    def axes(total: Vector, sd: float) -> dict[str, Any]:
        return {"axes": release.axes(total, sd, release.rank(plan.epsilon))}

    def factors(total: Vector, sd: float) -> dict[str, Any]:
        return {"factors": release.factors(total, public.base.popularity, sd, features)}

    return {BASE: base, GRAM: axes, HALF_STEP: factors}[question.id]


def _release(
    training: Training, public: _Public, runner: RoundRunner, round_id: str, published: dict[str, Any]
) -> SignedRelease:
    """Sign what a step gave; the last step's is the model that phones rank by."""
    query, documents = training.plan.steps[training.step].query, public.documents
    if training.step + 1 < len(training.plan.steps):
        name = {BASE: BASE, GRAM: AXES}[query]
        return runner.release(name, round_id, published, tuple(documents.values()))
    if query == BASE:
        model = {**published, "factors": np.zeros((len(public.catalogue.items), 0))}
    else:
        model = {"popularity": public.base.popularity, "rate": public.base.rate, **published}
    model["mix"] = release.mix(training.plan.epsilon, len(training.plan.steps))
    return runner.release(MODEL, round_id, model, (documents[CATALOGUE],), public.catalogue.items)
