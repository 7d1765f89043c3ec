"""Learning together: phones train a recommender step by step, while some of them leave; then each ranks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from covey_models.recommender import release
from covey_models.recommender.steps import CATALOGUE, MODEL
from covey_privacy.catalogue_document import open_listing
from covey_privacy.release import open_release
from covey_simulations.scenarios import random_choices
from covey_simulations.scenarios.shared_settings import CANDIDATES
from covey_simulations.scenarios.shop import LOOKING, Seen, Shop, ShopRound

STEPS = 3
"""Rounds of a whole training; of a small one, one."""


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """How the training went, and what every phone that may ranks first with what came of it.

    `tastes` is what the phones held when it began, `shown` one phone's lists with their reasons. `left` says
    who withdrew after which step, `left_all` who of them withdrew personalisation with it.
    """

    people: int
    rounds: tuple[ShopRound, ...]
    left: Mapping[int, int]
    left_all: frozenset[int]
    tastes: list[Seen]
    rankings: list[Seen]
    shown: Seen


def training_steps(households: Sequence[int], seed: int, epsilon: float) -> int:
    """Return how many rounds a training of the households takes."""
    willing = sum("train" in random_choices.grants(seed, h) for h in households)
    return STEPS if release.three_sums(willing, epsilon) else 1


def households_that_stay(households: Sequence[int], seed: int, epsilon: float) -> list[int]:
    """Return those of the households that will be in the last step of a training."""
    willing = [h for h in households if "train" in random_choices.grants(seed, h)]
    evenings = range(training_steps(households, seed, epsilon) - 1)
    return [h for h in willing if not any(random_choices.leaves_training(seed, h, step) for step in evenings)]


class TrainingSession:
    """A training of a shop's phones, one step a day."""

    def __init__(self, shop: Shop) -> None:
        self._shop, self._seed = shop, shop.world.seed
        self.willing = [h for h in shop.world.households if "train" in random_choices.grants(self._seed, h)]
        self._left: dict[int, int] = {}
        self._left_all: set[int] = set()
        self._rounds: list[ShopRound] = []
        self._tastes = shop.each(LOOKING, "taste", self.willing)

    @property
    def done(self) -> bool:
        """Whether no step is left to play."""
        return bool(self._rounds) and self._shop.stored(lambda store: store.training()) is None

    def step(self) -> None:
        """Play the next step."""
        self._rounds.append(self._shop.ask(MODEL, self._shop.budget.train))

    def evening(self) -> None:
        """Let some people withdraw from training, and some of them from everything."""
        step = len(self._rounds) - 1
        drawn = {
            h: random_choices.leaves_training(self._seed, h, step)
            for h in self.willing
            if h not in self._left
        }
        leaving = {household: purpose for household, purpose in drawn.items() if purpose}
        for purpose in ("train", "personalize"):
            some = [household for household, withdrawn in leaving.items() if withdrawn == purpose]
            self._shop.each(f"Some withdraw {purpose}", f"withdraw {purpose}", some)
            self._left |= dict.fromkeys(some, step)
        self._left_all |= {household for household, purpose in leaving.items() if purpose == "personalize"}

    def rank(self) -> TrainingRun:
        """Publish the model; let every phone that may take it rank what its owner might buy."""
        self._publish()
        everyone = self._shop.world.households
        with_model = self._shop.each("Phones take the model", "adopt", everyone)
        rankings = self._shop.each("Phones rank", "rank", with_model)
        return TrainingRun(
            len(self.willing),
            tuple(self._rounds),
            self._left,
            frozenset(self._left_all),
            self._tastes,
            rankings,
            self._shop.each(LOOKING, "reasons", [min(with_model)])[0],
        )

    def _publish(self) -> None:
        """Write down what anyone may download: the listing, the model, and the items by popularity."""
        world = self._shop.world
        documents = dict(
            zip((CATALOGUE, MODEL), self._shop.stored(lambda s: s.releases((CATALOGUE, MODEL))), strict=True)
        )
        world.public.mkdir(exist_ok=True)
        for name, signed in documents.items():
            (world.public / name).write_bytes(signed)
        items = open_listing(documents[CATALOGUE], world.trust.operator).items
        popularity = open_release(documents[MODEL], world.trust.operator).array("popularity")
        order = [items[place] for place in np.argsort(-popularity, kind="stable")]
        (world.public / CANDIDATES).write_text(json.dumps(order), "utf-8")
