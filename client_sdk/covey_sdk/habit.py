"""Habits: what a person buys on the same weekday, week after week."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

from covey_sdk.finding import Finding, TagEvidence
from covey_sdk.history import History
from covey_sdk.purchases import Buy
from covey_sdk.rule_bundle import Rules

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def weekly(history: History, rules: Rules) -> tuple[Finding, ...]:
    """Return a habit for each category and weekday that hold the cuts; the score is the weekday's share."""

    def of_category(category: str, buys: Sequence[Buy]) -> tuple[Finding, ...]:
        ages = {buy.day: history.age(buy.day) for buy in buys}
        recent = {day: age for day, age in ages.items() if age < 7 * rules.habit.weeks}
        return tuple(_habits(category, recent, rules))

    each = history.kept.by_category("habit", (history.today, rules), of_category)
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
