"""Interests: how often each category was bought, put into the cart, liked and looked at, by day.

Counts can be added and taken away, and what a category comes to is worked out again only when its counts or
the day have changed. So one more event costs the work for its categories, not for the whole history.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

ORDER_LINE = "order_line"
KINDS = (ORDER_LINE, "cart_add", "favorite", "item_view")

_PLACE = {kind: place for place, kind in enumerate(KINDS)}
_Days = dict[date, list[int]]


@dataclass(frozen=True, slots=True)
class Weighing:
    """How events count, seen from `today`: those of the last `days` days, halved every `half_life` days.

    `weights` are those of `KINDS`, in that order.
    """

    today: date
    days: int
    half_life: int
    weights: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Interest:
    """What the events of a category, or all of them, come to: how many, and their decayed weight."""

    events: int
    weight: float


class Interests:
    """The counts of one person's events."""

    def __init__(self) -> None:
        self._all: _Days = {}
        self._of: dict[str, _Days] = {}
        self._weighing: Weighing | None = None
        self._weighed: dict[str | None, Interest] = {}

    def add(self, day: date, kind: str, categories: Iterable[str], times: int = 1) -> None:
        """Count an event about these categories, each named once; a negative `times` takes it away again."""
        place = _PLACE[kind]
        _count(self._all, day, place, times)
        self._weighed.pop(None, None)
        for category in categories:
            _count(self._of.setdefault(category, {}), day, place, times)
            self._weighed.pop(category, None)

    def weigh(self, weighing: Weighing) -> tuple[Interest, Iterator[tuple[str, Interest]]]:
        """Return what all events come to, each counted once, and what those of each category come to."""
        if weighing != self._weighing:
            self._weighing = weighing
            self._weighed.clear()
        each = ((category, self._weigh(category, days, weighing)) for category, days in self._of.items())
        return self._weigh(None, self._all, weighing), each

    def _weigh(self, category: str | None, days: _Days, weighing: Weighing) -> Interest:
        known = self._weighed.get(category)
        if known is None:
            known = self._weighed[category] = _weighed(days, weighing)
        return known


def _count(days: _Days, day: date, place: int, times: int) -> None:
    days.setdefault(day, [0] * len(KINDS))[place] += times


def _weighed(days: Mapping[date, list[int]], weighing: Weighing) -> Interest:
    """Add up in the order of days: a sum of floats must not depend on the order in which events came."""
    events, weight, weights = 0, 0.0, weighing.weights
    for day in sorted(days):
        age = max(0, (weighing.today - day).days)
        if age < weighing.days:
            bought, carted, liked, viewed = days[day]
            events += bought + carted + liked + viewed
            once = sum((bought * weights[0], carted * weights[1], liked * weights[2], viewed * weights[3]))
            weight += once * 2.0 ** (-age / weighing.half_life)
    return Interest(events, weight)
