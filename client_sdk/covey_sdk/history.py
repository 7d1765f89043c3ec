"""History: the facts that tags are made of, from events: net of refunds, in days of the device's calendar.

Sensitive lines never count here: what stands under `health` or `family` feeds no other purpose.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from itertools import pairwise
from statistics import median

from covey_sdk.events import AppOpen, Event, OrderPaid, Refund
from covey_sdk.purposes import PERSONALIZE
from covey_sdk.rules import Rules


@dataclass(frozen=True, slots=True)
class Order:
    """An order that counts: paid and not fully refunded. `amount` is in minor units, net of refunds."""

    day: date
    amount: int


@dataclass(frozen=True)
class History:
    """One person's orders, oldest first, and the last day on which the app was opened, seen from `today`."""

    today: date
    orders: tuple[Order, ...]
    last_open: date | None = None

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

    def age(self, day: date) -> int:
        """Return the days from `day` to today; a day that is yet to come counts as today."""
        return max(0, (self.today - day).days)

    def within(self, days: int) -> tuple[Order, ...]:
        """Return the orders of the window: 0 <= age < `days`."""
        return tuple(order for order in self.orders if self.age(order.day) < days)


def history(events: Iterable[Event], rules: Rules, now: datetime) -> History:
    """Return what the events come to at `now`, whose zone is the device's."""
    paid: list[OrderPaid] = []
    refunds: dict[str, list[Refund]] = {}
    opened = 0
    for event in events:
        if isinstance(event, OrderPaid):
            paid.append(event)
        elif isinstance(event, Refund):
            refunds.setdefault(event.order_id, []).append(event)
        elif isinstance(event, AppOpen):
            opened = max(opened, event.at_ms)
    orders = [_order(order, refunds.get(order.order_id, []), rules, now) for order in paid]
    counted = sorted((order for order in orders if order), key=lambda order: order.day)
    return History(now.date(), tuple(counted), _day(opened, now) if opened else None)


def _order(order: OrderPaid, refunds: list[Refund], rules: Rules, now: datetime) -> Order | None:
    """Return the order without its sensitive lines and net of refunds, None when nothing of it counts."""
    lines = {
        order.position(ix): line.paid_minor
        for ix, line in enumerate(order.lines)
        if rules.purpose_of(line.category) == PERSONALIZE
    }
    amount = sum(lines.values())
    back = sum(_refunded(refund, lines) for refund in refunds)
    if not lines or (refunds and back >= amount):
        return None
    return Order(_day(order.at_ms, now), amount - back)


def _refunded(refund: Refund, lines: dict[int, int]) -> int:
    """Return what of a refund falls on `lines` (paid amounts by position)."""
    named = refund.line_ix or tuple(lines)
    return min(refund.amount_minor, sum(lines.get(position, 0) for position in named))


def _day(at_ms: int, now: datetime) -> date:
    return datetime.fromtimestamp(at_ms / 1000, now.tzinfo).date()
