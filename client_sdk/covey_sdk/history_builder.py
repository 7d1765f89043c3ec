"""Makes a history of events one by one: each costs the work for what it is about, not for all before it.

    builder = HistoryBuilder(rules, zone, order_of)
    for event in events:
        builder.add(event)
    history = builder.history(today)

Events are added in the order in which they were kept. Adding the same events to a new builder gives the same
history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass
from datetime import date, datetime, tzinfo

from covey_sdk import purchases
from covey_sdk.clock import day
from covey_sdk.events import AppOpen, Event, OrderPaid, Refund
from covey_sdk.history import Bought, History, Order
from covey_sdk.interactions import Interaction
from covey_sdk.interests import ORDER_LINE, Interests
from covey_sdk.purchases import Buy, Purchase
from covey_sdk.rules import Rules, plain

OrderOf = Callable[[str], OrderPaid | None]
"""`order_of(order_id)`: the order that a refund is for. A builder keeps what orders come to, and not them."""


@dataclass(frozen=True, slots=True)
class _Counted:
    """What an order comes to, net of its refunds; `order` is None where nothing of it is left."""

    day: date
    at_ms: int
    order: Order | None
    lines: tuple[Purchase, ...]


class HistoryBuilder:
    """One person's history under `rules` and the `sensitive` purposes, in the device's `zone`."""

    def __init__(
        self, rules: Rules, zone: tzinfo | None, order_of: OrderOf, sensitive: Set[str] = frozenset()
    ) -> None:
        self._rules = rules
        self._zone = zone
        self._order_of = order_of
        self._sensitive = frozenset(sensitive)
        self._counted: dict[str, _Counted] = {}
        self._orders_of: dict[str, set[str]] = {}
        """The ids of the orders that hold something of a category."""
        self._stale: set[str] = set()
        """The categories whose buys are to be worked out anew."""
        self._refunds: dict[str, list[Refund]] = {}
        self._orders: tuple[Order, ...] | None = ()
        self._bought = Bought()
        self._interests = Interests()
        self._currencies: set[str] = set()
        self._last_open: date | None = None

    def add(self, event: Event) -> None:
        """Add an event."""
        if isinstance(event, OrderPaid):
            self._count(event)
        elif isinstance(event, Refund):
            self._refunds.setdefault(event.order_id, []).append(event)
            order = self._order_of(event.order_id)
            if order is not None:
                self._count(order)
        elif isinstance(event, AppOpen):
            opened = self._day(event)
            self._last_open = max(self._last_open or opened, opened)
        elif isinstance(event, Interaction) and self._rules.may_enter_tags(event.category, self._sensitive):
            categories = dict.fromkeys(map(plain, event.category))
            self._interests.add(self._day(event), event.name, categories)

    def history(self, today: date) -> History:
        """Return the history of what was added, seen from `today`."""
        if self._orders is None:
            counted = [self._counted[order_id] for order_id in self._oldest_first(self._counted)]
            self._orders = tuple(each.order for each in counted if each.order)
            lines = tuple(line for each in counted for line in each.lines)
            self._bought = Bought(lines, self._buys(), self._bought.memo)
        currency = next(iter(self._currencies)) if len(self._currencies) == 1 else None
        return History(
            today, self._orders, self._last_open, self._bought, self._interests, self._sensitive, currency
        )

    def _count(self, order: OrderPaid) -> None:
        """Count an order anew: it, or a refund of it, was added."""
        self._currencies.add(order.currency)
        before = self._counted.get(order.order_id)
        refunds, on = self._refunds.get(order.order_id, []), self._day(order)
        lines = tuple(purchases.purchases(order, refunds, self._rules, self._sensitive, on))
        self._counted[order.order_id] = _Counted(on, order.at_ms, _net(order, refunds, on), lines)
        self._orders = None
        for line in before.lines if before else ():
            self._interests.add(line.day, ORDER_LINE, (line.category,), -1)
            self._stale.add(line.category)
        for line in lines:
            self._interests.add(line.day, ORDER_LINE, (line.category,))
            self._orders_of.setdefault(line.category, set()).add(order.order_id)
            self._stale.add(line.category)

    def _buys(self) -> dict[str, tuple[Buy, ...]]:
        """Return the buys of every category, by its name, worked out anew for those that changed."""
        buys = dict(self._bought.buys)
        for category in self._stale:
            orders = [self._counted[each] for each in self._oldest_first(self._orders_of[category])]
            lines = [line for order in orders for line in order.lines if line.category == category]
            buys[category] = purchases.buys_of(lines)
        self._stale.clear()
        return {category: buys[category] for category in sorted(buys) if buys[category]}

    def _oldest_first(self, order_ids: Iterable[str]) -> list[str]:
        """Sort by day first: where offsets differ, times and days may disagree."""

        def place(order_id: str) -> tuple[date, int, str]:
            counted = self._counted[order_id]
            return counted.day, counted.at_ms, order_id

        return sorted(order_ids, key=place)

    def _day(self, event: Event) -> date:
        return day(event.at_ms, event.tz_offset_min, self._zone)


def history(
    events: Iterable[Event], rules: Rules, now: datetime, sensitive: Set[str] = frozenset()
) -> History:
    """Return what the events come to at `now`, whose zone is the device's, under the `sensitive` purposes."""
    kept = list(events)
    paid = {event.order_id: event for event in kept if isinstance(event, OrderPaid)}
    builder = HistoryBuilder(rules, now.tzinfo, paid.get, sensitive)
    for event in kept:
        builder.add(event)
    return builder.history(now.date())


def _net(order: OrderPaid, refunds: Sequence[Refund], on: date) -> Order | None:
    """Return the order net of refunds, None when all of it went back."""
    lines = {order.position(ix): line.paid_minor for ix, line in enumerate(order.lines)}
    back = sum(_refunded(refund, lines, order.total_minor) for refund in refunds)
    if refunds and back >= order.total_minor:
        return None
    return Order(on, order.total_minor - back)


def _refunded(refund: Refund, lines: dict[int, int], total: int) -> int:
    """Return what of a refund counts: no more than the lines (paid amounts by position) that it is for.

    What was left out is together what the `lines` lack of `total`.
    """
    if not refund.line_ix and not refund.left_out:
        return min(refund.amount_minor, total)
    others = total - sum(lines.values()) if refund.left_out else 0
    return min(refund.amount_minor, sum([lines.get(position, 0) for position in refund.line_ix]) + others)
