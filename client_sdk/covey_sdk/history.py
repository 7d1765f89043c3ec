"""History: the facts that tags are made of, from events: net of refunds, in days of the device's calendar.

Sensitive lines never count in `orders` and `bought`, which queries, training and recommending read. In
`purchases` and `touches`, which those do not read, they count under their own purpose.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cached_property
from itertools import pairwise
from statistics import median

from covey_sdk import purchases
from covey_sdk.clock import day
from covey_sdk.events import AppOpen, Event, OrderPaid, Refund
from covey_sdk.interactions import Interaction
from covey_sdk.purchases import Buy, Purchase
from covey_sdk.purposes import ORDINARY
from covey_sdk.rules import Rules, plain


@dataclass(frozen=True, slots=True)
class Order:
    """An order that counts: paid and not fully refunded. `amount` is in minor units, net of refunds."""

    day: date
    amount: int


@dataclass(frozen=True, slots=True)
class Touch:
    """An item was met short of buying it. `kind` is the event's type, `categories` are in plain spelling."""

    day: date
    kind: str
    categories: tuple[str, ...]


@dataclass(frozen=True)
class History:
    """One person's orders, oldest first, and the last day on which the app was opened, seen from `today`.

    `purchases`, oldest first, and `touches` hold what the `sensitive` purposes allow besides the ordinary;
    `items` gives the days on which each item was bought, oldest first, of the ordinary alone. `currency` is
    that of all amounts, None where none is known.
    """

    today: date
    orders: tuple[Order, ...]
    last_open: date | None = None
    purchases: tuple[Purchase, ...] = ()
    touches: tuple[Touch, ...] = ()
    sensitive: frozenset[str] = frozenset()
    items: Mapping[str, tuple[date, ...]] = field(default_factory=dict)
    currency: str | None = None

    @property
    def recency_days(self) -> int | None:
        """Days since the last order, None without one."""
        return self.age(self.orders[-1].day) if self.orders else None

    @property
    def silent_days(self) -> int | None:
        """Days since the app was last opened, None when it never told."""
        return self.age(self.last_open) if self.last_open else None

    @property
    def spend(self) -> int:
        """What all orders come to."""
        return sum(order.amount for order in self.orders)

    @cached_property
    def median_gap(self) -> float | None:
        """Median of the days between one shopping day and the next, None with fewer than two such days."""
        days = sorted({order.day for order in self.orders})
        gaps = [(later - earlier).days for earlier, later in pairwise(days)]
        return float(median(gaps)) if gaps else None

    @cached_property
    def buys(self) -> Mapping[str, tuple[Buy, ...]]:
        """The days on which each category was bought, oldest first."""
        return purchases.buys(self.purchases)

    @cached_property
    def bought(self) -> Mapping[str, tuple[int, ...]]:
        """How many days ago each item was bought, the oldest first; sensitive purchases stay out."""
        return {item: tuple(map(self.age, days)) for item, days in self.items.items()}

    def on(self, today: date) -> History:
        """Return the same history seen from another day."""
        return self if today == self.today else replace(self, today=today)

    def age(self, day: date) -> int:
        """Return the days from `day` to today; a day that is yet to come counts as today."""
        return max(0, (self.today - day).days)

    def within(self, days: int) -> tuple[Order, ...]:
        """Return the orders of the window: 0 <= age < `days`."""
        return tuple(order for order in self.orders if self.age(order.day) < days)


def history(
    events: Iterable[Event], rules: Rules, now: datetime, sensitive: Set[str] = frozenset()
) -> History:
    """Return what the events come to at `now`, whose zone is the device's, under the `sensitive` purposes."""
    paid: list[OrderPaid] = []
    refunds: dict[str, list[Refund]] = {}
    touches: list[Touch] = []
    opened = 0
    for event in events:
        if isinstance(event, OrderPaid):
            paid.append(event)
        elif isinstance(event, Refund):
            refunds.setdefault(event.order_id, []).append(event)
        elif isinstance(event, AppOpen):
            opened = max(opened, event.at_ms)
        elif isinstance(event, Interaction) and rules.admits(event.category, sensitive):
            touches.append(_touch(event, now))
    orders: list[Order] = []
    bought: list[Purchase] = []
    for order in sorted(paid, key=lambda order: (order.at_ms, order.order_id)):
        back, on = refunds.get(order.order_id, []), day(order.at_ms, now.tzinfo)
        orders.extend(_order(order, back, rules, on))
        bought.extend(purchases.purchases(order, back, rules, sensitive, on))
    last_open = day(opened, now.tzinfo) if opened else None
    items = purchases.item_days(bought, rules)
    currencies = {order.currency for order in paid}
    return History(
        now.date(), tuple(orders), last_open, tuple(bought), tuple(touches), frozenset(sensitive), items,
        currencies.pop() if len(currencies) == 1 else None,
    )  # fmt: skip


def _order(order: OrderPaid, refunds: list[Refund], rules: Rules, on: date) -> tuple[Order, ...]:
    """Return the order without its sensitive lines, net of refunds; nothing when nothing of it counts."""
    lines = {
        order.position(ix): line.paid_minor
        for ix, line in enumerate(order.lines)
        if rules.purposes_of(line.category) == ORDINARY
    }
    amount = sum(lines.values())
    back = sum(_refunded(refund, lines) for refund in refunds)
    if not lines or (refunds and back >= amount):
        return ()
    return (Order(on, amount - back),)


def _refunded(refund: Refund, lines: dict[int, int]) -> int:
    """Return what of a refund falls on `lines` (paid amounts by position)."""
    named = refund.line_ix or tuple(lines)
    return min(refund.amount_minor, sum(lines.get(position, 0) for position in named))


def _touch(event: Interaction, now: datetime) -> Touch:
    return Touch(day(event.at_ms, now.tzinfo), event.name, tuple(dict.fromkeys(map(plain, event.category))))
