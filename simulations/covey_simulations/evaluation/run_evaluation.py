"""What recommending achieved in a run: its phones, its rounds, its households' next four weeks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from covey_models import Catalogue
from covey_models.recommender.steps import CATALOGUE, GRAM
from covey_privacy.catalogue_document import open_listing
from covey_server.questions import plan_training
from covey_simulations.data import orders
from covey_simulations.evaluation import ranking
from covey_simulations.evaluation.ranking import Household, Training
from covey_simulations.scenarios.shared_settings import SharedSettings
from covey_simulations.scenarios.shop import Budget, Seen
from covey_simulations.scenarios.training import TrainingRun


def recommender_report(learnt: TrainingRun, world: SharedSettings, budget: Budget) -> dict[str, Any]:
    """Return the report's `recommender`."""
    listing = open_listing((world.public / CATALOGUE).read_bytes(), world.trust.operator)
    catalogue = Catalogue(listing.items, listing.taxonomy)
    households = _households(learnt, orders.read_upcoming_items(world.orders))
    training = _training(learnt, catalogue, budget)
    return ranking.recommender(households, catalogue, training, _list(learnt.shown, households))


def _households(learnt: TrainingRun, upcoming: Mapping[int, frozenset[str]]) -> list[Household]:
    """Return everyone who ranked, and everyone else who was in the training as they were then."""
    ranked = {each["household"]: _household(each, upcoming) for each in learnt.rankings}
    trained = {each["household"]: _household(each, upcoming) for each in learnt.tastes}
    return list({**trained, **ranked}.values())


def _household(seen: Seen, upcoming: Mapping[int, frozenset[str]]) -> Household:
    return Household(
        seen["household"],
        frozenset(seen["items"]),
        frozenset(seen["adopted"]),
        seen.get("counts", {}),
        tuple(seen.get("new", ())),
        tuple(seen.get("again", ())),
        upcoming.get(seen["household"], frozenset()),
    )


def _training(learnt: TrainingRun, catalogue: Catalogue, budget: Budget) -> Training:
    steps = {played.result["query"]: played for played in learnt.rounds}
    first = learnt.rounds[0].result
    extra = first["sd"] / first["sigma"]

    def noise(epsilon: float) -> dict[str, float]:
        """Return what each step's sum would hold, as much beyond the least as the run's first did."""
        planned = plan_training(epsilon, learnt.people, len(catalogue.items), budget.delta)
        return {step.query: step.sigma * extra for step in planned.steps}

    return Training(
        "three_rounds" if GRAM in steps else "one_round",
        learnt.people,
        budget.train,
        budget.delta,
        {step: played.contributors for step, played in steps.items()},
        noise,
    )


def _list(shown: Seen, households: Sequence[Household]) -> dict[str, Any]:
    (owner,) = (each for each in households if each.id == shown["household"])
    return {
        "device": f"household {owner.id}",
        "bought": len(owner.items),
        "new": shown["new"],
        "again": shown["again"],
    }
