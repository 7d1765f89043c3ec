"""Training P1: one secure sum a step, all of them under one budget plan that is fixed before the first.

A step that cannot be finished ends its training: what it may have charged is spent, and a plan is never
stretched.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covey_models import Catalogue, Question
from covey_models.recommender import release, steps
from covey_models.recommender.on_device import TOP, Base
from covey_models.recommender.steps import AXES, BASE, CATALOGUE, GRAM, HALF_STEP, MODEL, SHARES
from covey_privacy.dp import epsilon
from covey_privacy.manifest import Plan
from covey_privacy.release import open_release
from covey_server.catalogue import publish_catalogue, read_catalogue
from covey_server.conductor import Conductor, RunningRound
from covey_server.config import RequestedQuery
from covey_server.errors import ConfigError
from covey_server.plan import Chain, Size, fitted, manifest_for
from covey_server.store import SignedRelease, Training

Vector = NDArray[np.float64]


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


def run_step(asked: RequestedQuery, conductor: Conductor) -> None:
    """Run the next step of the open training, or the first of a new one; a step that was stopped goes on.

    Raises PrivacyError or RoundError when it cannot be finished; the training is over then.
    """
    if conductor.config.catalogue is None:
        raise ConfigError("a training needs the shop's items; name their file as catalogue")
    catalogue = read_catalogue(conductor.config.catalogue)
    publish_catalogue(catalogue, conductor.store, conductor.operator)
    training = conductor.store.training() or _planned(asked.epsilon, catalogue, conductor)
    if training.plan.epsilon != asked.epsilon:
        raise ConfigError(
            f"a training at epsilon {training.plan.epsilon:g} is under way; it goes on at that epsilon only"
        )
    public = _so_far(training, catalogue, conductor)
    question = _question(training.plan.steps[training.step].query, public)
    running = conductor.resume(question) or _begun(training, question, public, conductor)
    sign = partial(_release, training, public, conductor)
    conductor.run(running, _reading(question, training.plan, public), sign)


def plan(epsilon: float, people: int, items: int, delta: float) -> Plan:
    """Return the steps that `epsilon` is worth among so many people who hold tickets, over so many items.

    Three sums, or the first alone with the whole budget where the later ones would drown in noise.
    """
    first = Size(BASE, 2 * items + 2, 1.0)
    if not release.three_sums(people, epsilon):
        return fitted([first], epsilon, people, delta)
    top = min(TOP, items)
    lengths = {
        BASE: first.length,
        GRAM: top * (top + 1) // 2,
        HALF_STEP: items * min(release.rank(epsilon), top),
    }
    sizes = [Size(step, length, 1.0, SHARES[step]) for step, length in lengths.items()]
    return fitted(sizes, epsilon, people, delta)


def _planned(epsilon: float, catalogue: Catalogue, conductor: Conductor) -> Training:
    people = conductor.admission(steps.base_step(catalogue)).people
    return Training(plan(epsilon, people.issued, len(catalogue.items), conductor.policy.delta))


def _so_far(training: Training, catalogue: Catalogue, conductor: Conductor) -> _Public:
    names = steps.BUILDS_ON[training.plan.steps[training.step].query]
    documents = dict(zip(names, conductor.store.releases(names), strict=True))
    return _Public(catalogue, documents, conductor.operator.public)


def _begun(training: Training, question: Question, public: _Public, conductor: Conductor) -> RunningRound:
    step, policy, nonce = training.plan.steps[training.step], conductor.policy, os.urandom(32)
    documents = tuple(public.documents.values())
    admission = conductor.admission(question)
    chain = Chain(training.plan, training.step, training.previous)
    costs, round_id = epsilon([step.mechanism], policy.delta), conductor.round_id(question.id)
    windows = policy.durations.from_(int(conductor.clock.seconds()))
    manifest = manifest_for(
        question, step, costs, round_id, admission, documents, policy, windows, nonce, chain
    )
    return conductor.begin(question, manifest, admission, documents, nonce, training)


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
    training: Training, public: _Public, conductor: Conductor, round_id: str, published: dict[str, Any]
) -> SignedRelease:
    """Sign what a step gave; the last step's is the model that phones rank by."""
    query, documents = training.plan.steps[training.step].query, public.documents
    if training.step + 1 < len(training.plan.steps):
        name = {BASE: BASE, GRAM: AXES}[query]
        return conductor.release(name, round_id, published, tuple(documents.values()))
    if query == BASE:
        model = {**published, "factors": np.zeros((len(public.catalogue.items), 0))}
    else:
        model = {"popularity": public.base.popularity, "rate": public.base.rate, **published}
    model["mix"] = release.mix(training.plan.epsilon, len(training.plan.steps))
    return conductor.release(MODEL, round_id, model, (documents[CATALOGUE],), public.catalogue.items)
