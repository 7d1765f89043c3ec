"""Timing tags: weekly habits, what runs out soon, and what goes with something bought a while ago."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from fractions import Fraction
from itertools import pairwise
from math import ceil
from statistics import median

from covey_sdk.history import History
from covey_sdk.purchases import Buy
from covey_sdk.rule_bundle import Rules, plain
from covey_sdk.rule_sections import Pair
from covey_sdk.tag_rules.finding import Finding, TagEvidence

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def find_weekly_habits(history: History, rules: Rules) -> tuple[Finding, ...]:
    """Return a habit for each category and weekday that hold the cuts; the score is the weekday's share."""

    def find_in_category(category: str, buys: Sequence[Buy]) -> tuple[Finding, ...]:
        ages = {buy.day: history.age(buy.day) for buy in buys}
        recent = {day: age for day, age in ages.items() if age < 7 * rules.habit.weeks}
        return tuple(_habits(category, recent, rules))

    each = history.kept.by_category("habit", (history.today, rules), find_in_category)
    return tuple(finding for findings in each for finding in findings)


def _habits(category: str, ages: Mapping[date, int], rules: Rules) -> Iterator[Finding]:
    """Yield the habits of a category, of the age in days of each day on which it was bought."""
    cuts = rules.habit
    if len(ages) < cuts.least_weeks:
        return
    for number, name in enumerate(WEEKDAYS):
        on_it = [age for day, age in ages.items() if day.weekday() == number]
        weeks, share = len({age // 7 for age in on_it}), len(on_it) / len(ages)
        if weeks >= cuts.least_weeks and share >= cuts.share:
            evidence = (
                TagEvidence("weeks", weeks, cuts.least_weeks, 7 * cuts.weeks),
                TagEvidence("share", share, cuts.share, 7 * cuts.weeks),
            )
            yield Finding("habit.weekly", "yes", evidence, share, f":{category}:{name}")


def find_due_replenishments(history: History, rules: Rules) -> tuple[Finding, ...]:
    """Return the categories that run out within their lead, for a person who was here lately.

    When a category runs out is known from the catalogue, or else from this person's own rhythm.
    """
    visits = [history.purchases[-1].day] if history.purchases else []
    if history.last_open is not None:
        visits.append(history.last_open)
    if not any(history.age(day) < rules.replenish.active_days for day in visits):
        return ()

    def find_in_category(category: str, buys: Sequence[Buy]) -> Finding | None:
        bought = [buy for buy in buys if history.age(buy.day) < rules.replenish.days]
        lasts = last_buy_lasts(bought, rules) if bought else None
        if lasts is None:
            return None
        age, lead = history.age(bought[-1].day), rules.lead_of(category)
        left = ceil(lasts) - age
        if not 0 <= left <= lead:
            return None
        evidence = (TagEvidence("days_left", left, lead), TagEvidence("days_since_bought", age, ceil(lasts)))
        return Finding("replenish.due", "yes", evidence, about=f":{category}")

    each = history.kept.by_category("replenish", (history.today, rules), find_in_category)
    return tuple(finding for finding in each if finding)


def last_buy_lasts(bought: Sequence[Buy], rules: Rules) -> Fraction | int | None:
    """Return for how many days the last buy lasts, None where neither catalogue nor rhythm tell.

    Fractions, as a third of a gap times three must not be a day more.
    """
    if bought[-1].lasts is not None:
        return bought[-1].lasts
    if len(bought) < rules.replenish.least_buys:
        return None
    uses = [Fraction((later.day - buy.day).days, buy.qty) for buy, later in pairwise(bought)]
    return bought[-1].qty * median(uses)


def find_due_cross_sells(history: History, rules: Rules) -> tuple[Finding, ...]:
    """Return what people tend to buy that long after something that this person bought."""
    return _due("cross_sell.due", rules.cross_sell, history, rules)


def find_due_complements(history: History, rules: Rules) -> tuple[Finding, ...]:
    """Return what is used together with something that this person bought."""
    return _due("complement.due", rules.complement, history, rules)


def _due(kind: str, pairs: Iterable[Pair], history: History, rules: Rules) -> tuple[Finding, ...]:
    """Return each due category once; a sensitive one only where the history may hold it."""
    found: dict[str, Finding] = {}
    for pair in pairs:
        lag = _lag(pair, history) if rules.may_enter_tags((pair.due,), history.sensitive) else None
        if lag is not None:
            cuts = pair.least_days, pair.most_days
            evidence = tuple(TagEvidence("lag_days", lag, cut) for cut in cuts)
            about = f":{plain(pair.due)}"
            found.setdefault(about, Finding(kind, "yes", evidence, about=about))
    return tuple(found.values())


def _lag(pair: Pair, history: History) -> int | None:
    """Return the days since the latest buy that the pair's window holds and no buy of the other followed."""
    since = history.buys.get(plain(pair.due))
    lags = [
        history.age(buy.day)
        for buy in history.buys.get(plain(pair.bought), ())
        if since is None or since[-1].day < buy.day
    ]
    return min((lag for lag in lags if pair.least_days <= lag <= pair.most_days), default=None)
