"""Habits: what a person buys on the same weekday, week after week."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

from covey_sdk.finding import Evidence, Finding
from covey_sdk.history import History
from covey_sdk.rules import Rules

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def weekly(history: History, rules: Rules) -> tuple[Finding, ...]:
    """Return a habit for each category and weekday that hold the cuts; the score is the weekday's share."""
    window = 7 * rules.habit.weeks
    return tuple(
        finding
        for category, buys in history.buys.items()
        for finding in _habits(
            category, [buy.day for buy in buys if history.age(buy.day) < window], history, rules
        )
    )


def _habits(category: str, days: Sequence[date], history: History, rules: Rules) -> Iterator[Finding]:
    cuts = rules.habit
    if len(days) < cuts.least_weeks:
        return
    for number, name in enumerate(WEEKDAYS):
        weeks = len({history.age(day) // 7 for day in days if day.weekday() == number})
        share = sum(day.weekday() == number for day in days) / len(days)
        if weeks >= cuts.least_weeks and share >= cuts.share:
            evidence = (Evidence("weeks", weeks, cuts.least_weeks), Evidence("share", share, cuts.share))
            yield Finding("habit.weekly", "yes", evidence, share, f":{category}:{name}")
