"""Replenishment: what runs out soon, by the catalogue or by this person's own rhythm."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from math import ceil
from statistics import median

from covey_sdk.finding import Finding, TagEvidence
from covey_sdk.history import History
from covey_sdk.purchases import Buy
from covey_sdk.rule_bundle import Rules


def due(history: History, rules: Rules) -> tuple[Finding, ...]:
    """Return the categories that run out within their lead, for who was here lately."""
    if not _active(history, rules):
        return ()

    def of_category(category: str, buys: Sequence[Buy]) -> Finding | None:
        bought = [buy for buy in buys if history.age(buy.day) < rules.replenish.days]
        lasts = _lasts(bought, rules) if bought else None
        if lasts is None:
            return None
        age, lead = history.age(bought[-1].day), rules.lead_of(category)
        left = ceil(lasts) - age
        if not 0 <= left <= lead:
            return None
        evidence = (TagEvidence("days_left", left, lead), TagEvidence("days_since_bought", age, ceil(lasts)))
        return Finding("replenish.due", "yes", evidence, about=f":{category}")

    each = history.kept.by_category("replenish", (history.today, rules), of_category)
    return tuple(finding for finding in each if finding)


def _active(history: History, rules: Rules) -> bool:
    """Say whether an order was made or the app opened lately."""
    days = [history.purchases[-1].day] if history.purchases else []
    if history.last_open is not None:
        days.append(history.last_open)
    return any(history.age(day) < rules.replenish.active_days for day in days)


def _lasts(bought: Sequence[Buy], rules: Rules) -> Fraction | int | None:
    """Return for how many days the last buy lasts, None where neither catalogue nor rhythm tell.

    Fractions, as a third of a gap times three must not be a day more.
    """
    if bought[-1].lasts is not None:
        return bought[-1].lasts
    if len(bought) < rules.replenish.least_buys:
        return None
    uses = [Fraction((later.day - buy.day).days, buy.qty) for buy, later in pairwise(bought)]
    return bought[-1].qty * median(uses)
