"""The acts of the main job: enrol, take up orders, count, learn, change one's mind, go on, rank."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from covey_simulations.scenarios import random_choices
from covey_simulations.scenarios.shop import LOOKING, Seen, Shop, ShopRound
from covey_simulations.scenarios.training import TrainingRun, TrainingSession

Q20_SHARE = 0.3
"""Of what counting may cost, what the medians may; the segments get the rest."""

Counts = dict[str, int]


@dataclass(frozen=True, slots=True)
class ScenarioRun:
    """What came of the acts, as the simulation saw it.

    `leaving` took statistics back between the two counts; `tickets_after` says which phones whose owners had
    left something got tickets for what in the next epoch; `certificates` counts what their phones proved.
    """

    granted: list[Counts]
    kept: list[Counts]
    q20: ShopRound
    seen_after_q20: list[Seen]
    leaving: frozenset[int]
    q1: ShopRound
    learnt: TrainingRun
    seen: list[Seen]
    tickets_after: Mapping[str, frozenset[int]]
    certificates: list[Counts]


def play_scenario(shop: Shop) -> ScenarioRun:
    """Play all acts: a day for each round of a purpose, all of them in one epoch."""
    everyone, seed = shop.world.households, shop.world.seed
    counted = [h for h in everyone if "analytics" in random_choices.grants(seed, h)]
    leaving = [h for h in counted if random_choices.withdraws(seed, h)]
    willing = [h for h in everyone if {"analytics", "train"} & {*random_choices.grants(seed, h)}]
    granted = shop.each("Phones enrol; their owners decide", "enrol", everyone)
    kept = shop.each("Phones take their orders up", "record", everyone)
    lesson = TrainingSession(shop)

    shop.fetch_tickets(willing)
    q20 = shop.ask("q20", Q20_SHARE * shop.budget.analytics)
    seen_after_q20 = shop.each(LOOKING, "look", counted)
    lesson.step()
    lesson.evening()
    shop.each("Some withdraw from statistics", "withdraw analytics", leaving)

    shop.a_day_later()
    q1 = shop.ask("q1", shop.budget.analytics - Q20_SHARE * shop.budget.analytics)
    learnt = _finished(shop, lesson)
    seen = shop.each(LOOKING, "look", everyone)

    shop.next_epoch()
    left = sorted({*leaving, *learnt.left})
    tickets = shop.fetch_tickets(left)
    proofs = shop.each("Who withdrew proves to be in nothing since", "certify", left)
    return ScenarioRun(
        granted, kept, q20, seen_after_q20, frozenset(leaving), q1, learnt, seen, tickets, proofs
    )


def _finished(shop: Shop, lesson: TrainingSession) -> TrainingRun:
    """Play the steps that are left, people leaving after each but the last, and let the phones rank."""
    while not lesson.done:
        lesson.step()
        if not lesson.done:
            lesson.evening()
            shop.a_day_later()
    return lesson.rank()
