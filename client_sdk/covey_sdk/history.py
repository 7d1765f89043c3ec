"""History: the facts that tags are made of, from events: net of refunds, in days of the device's calendar.

Of a sensitive line, and of one whose category is not mapped, `orders` hold the price, as part of an order's
total, and `bought` nothing: queries, training and recommending read these two. In `purchases` and
`interests`, which those do not read, a sensitive line counts under its own purpose, one that is not mapped
never.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from itertools import pairwise
from operator import attrgetter
from statistics import median
from typing import TypeVar, cast

from covey_sdk.interests import Interests
from covey_sdk.purchases import Buy, Purchase, item_days

_T = TypeVar("_T")
_Dated = TypeVar("_Dated", "Order", Purchase)
_DAY = attrgetter("day")


@dataclass(frozen=True, slots=True)
class Order:
    """An order that counts: paid and not fully refunded. `amount` is in minor units, net of refunds."""

    day: date
    amount: int


Memo = dict[str, dict[str, tuple[tuple[Buy, ...], object, object]]]
"""Results by finder and category, each with the buys and the other arguments that it came from."""


@dataclass(frozen=True)
class KeptPurchases:
    """The lines that were paid and kept, oldest first, and the days on which each category was bought."""

    purchases: tuple[Purchase, ...] = ()
    buys: Mapping[str, tuple[Buy, ...]] = field(default_factory=dict)
    memo: Memo = field(default_factory=dict, compare=False)

    @cached_property
    def items(self) -> Mapping[str, tuple[date, ...]]:
        """The days on which each item was bought, oldest first; sensitive purchases stay out."""
        return item_days(self.purchases)

    def by_category(
        self, finder: str, arguments: object, find: Callable[[str, tuple[Buy, ...]], _T]
    ) -> Iterator[_T]:
        """Yield what `find` returns for each category and its buys.

        `finder` names the function and `arguments` are all that it depends on besides: what it returned for
        the same buys and arguments is returned again.
        """
        known = self.memo.setdefault(finder, {})
        for category, bought in self.buys.items():
            last = known.get(category)
            if last is None or last[0] is not bought or last[1] != arguments:
                last = known[category] = (bought, arguments, find(category, bought))
            yield cast(_T, last[2])


@dataclass(frozen=True)
class History:
    """One person's orders, oldest first, and the last day on which the app was opened, seen from `today`.

    `kept` and `interests` hold what the `sensitive` purposes allow besides the ordinary. `interests` goes on
    counting where further events are added. `currency` is that of all amounts, None where none is known.
    """

    today: date
    orders: tuple[Order, ...]
    last_open: date | None = None
    kept: KeptPurchases = field(default_factory=KeptPurchases)
    interests: Interests = field(default_factory=Interests)
    sensitive: frozenset[str] = frozenset()
    currency: str | None = None

    @property
    def recency_days(self) -> int | None:
        """Days since the last order, None without one."""
        return self.age(self.orders[-1].day) if self.orders else None

    @property
    def silent_days(self) -> int | None:
        """Days since the app was last opened, None when it never told."""
        return self.age(self.last_open) if self.last_open else None

    @cached_property
    def spend(self) -> int:
        """What all orders come to."""
        return sum([order.amount for order in self.orders])

    @cached_property
    def median_gap(self) -> float | None:
        """Median of the days between one shopping day and the next, None with fewer than two such days."""
        days = sorted({order.day for order in self.orders})
        gaps = [(later - earlier).days for earlier, later in pairwise(days)]
        return float(median(gaps)) if gaps else None

    @property
    def purchases(self) -> tuple[Purchase, ...]:
        """The lines that were paid and kept, oldest first."""
        return self.kept.purchases

    @property
    def buys(self) -> Mapping[str, tuple[Buy, ...]]:
        """The days on which each category was bought, oldest first."""
        return self.kept.buys

    @cached_property
    def bought(self) -> Mapping[str, tuple[int, ...]]:
        """How many days ago each item was bought, the oldest first; sensitive purchases stay out."""
        return {item: tuple(map(self.age, days)) for item, days in self.kept.items.items()}

    def age(self, day: date) -> int:
        """Return the days from `day` to today; a day that is yet to come counts as today."""
        return max(0, (self.today - day).days)

    def within(self, days: int) -> tuple[Order, ...]:
        """Return the orders of the window: 0 <= age < `days`."""
        return self._latest(self.orders, days)

    def purchases_within(self, days: int) -> tuple[Purchase, ...]:
        """Return the lines of the window: 0 <= age < `days`."""
        return self._latest(self.purchases, days)

    def _latest(self, dated: tuple[_Dated, ...], days: int) -> tuple[_Dated, ...]:
        """Return those younger than `days`, at least 1, of what is sorted by day."""
        return dated[bisect_right(dated, self.today - timedelta(days), key=_DAY) :]
