"""Makes a history of events one by one: each costs the work for what it is about, not for all before it.

    builder = HistoryBuilder(rules, zone)
    for event in events:
        builder.add(event)
    history = builder.history(today)

Events are added in the order in which they were kept. Adding the same events to a new builder gives the same
history.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from datetime import date, datetime, tzinfo

from covey_sdk import purchases
from covey_sdk.clock import day
from covey_sdk.events import AppOpen, Event, OrderPaid, Refund
from covey_sdk.history import Bought, History, Order
from covey_sdk.interactions import Interaction
from covey_sdk.interests import ORDER_LINE, Interests
from covey_sdk.purchases import Purchase
from covey_sdk.rules import Rules, plain


class HistoryBuilder:
    """One person's history under `rules` and the `sensitive` purposes, in the device's `zone`."""

    def __init__(self, rules: Rules, zone: tzinfo | None, sensitive: Set[str] = frozenset()) -> None:
        self._rules = rules
        self._zone = zone
        self._sensitive = frozenset(sensitive)
        self._paid: dict[str, OrderPaid] = {}
        self._refunds: dict[str, list[Refund]] = {}
        self._counted: dict[str, tuple[tuple[Order, ...], list[Purchase]]] = {}
        """What each order comes to, by its id."""
        self._orders: tuple[Order, ...] | None = ()
        self._bought = Bought()
        self._interests = Interests()
        self._opened = 0

    def add(self, event: Event) -> None:
        """Add an event."""
        if isinstance(event, OrderPaid):
            self._paid[event.order_id] = event
            self._count(event.order_id)
        elif isinstance(event, Refund):
            self._refunds.setdefault(event.order_id, []).append(event)
            self._count(event.order_id)
        elif isinstance(event, AppOpen):
            self._opened = max(self._opened, event.at_ms)
        elif isinstance(event, Interaction) and self._rules.admits(event.category, self._sensitive):
            categories = dict.fromkeys(map(plain, event.category))
            self._interests.add(day(event.at_ms, self._zone), event.name, categories)

    def history(self, today: date) -> History:
        """Return the history of what was added, seen from `today`."""
        if self._orders is None:
            oldest_first = sorted(self._paid.values(), key=lambda order: (order.at_ms, order.order_id))
            counted = [self._counted[order.order_id] for order in oldest_first]
            self._orders = tuple(order for orders, _ in counted for order in orders)
            self._bought = Bought(tuple(line for _, lines in counted for line in lines))
        last_open = day(self._opened, self._zone) if self._opened else None
        return History(today, self._orders, last_open, self._bought, self._interests, self._sensitive)

    def _count(self, order_id: str) -> None:
        """Count an order anew: it, or a refund of it, was added."""
        order = self._paid.get(order_id)
        if order is None:
            return
        _, before = self._counted.get(order_id, ((), ()))
        refunds, on = self._refunds.get(order_id, []), day(order.at_ms, self._zone)
        lines = purchases.purchases(order, refunds, self._rules, self._sensitive, on)
        self._counted[order_id] = (_order(order, refunds, on), lines)
        self._orders = None
        for times, counted in ((-1, before), (1, lines)):
            for line in counted:
                self._interests.add(line.day, ORDER_LINE, (line.category,), times)


def history(
    events: Iterable[Event], rules: Rules, now: datetime, sensitive: Set[str] = frozenset()
) -> History:
    """Return what the events come to at `now`, whose zone is the device's, under the `sensitive` purposes."""
    builder = HistoryBuilder(rules, now.tzinfo, sensitive)
    for event in events:
        builder.add(event)
    return builder.history(now.date())


def _order(order: OrderPaid, refunds: Sequence[Refund], on: date) -> tuple[Order, ...]:
    """Return the order net of refunds, nothing when all of it went back."""
    lines = {order.position(ix): line.paid_minor for ix, line in enumerate(order.lines)}
    back = sum(_refunded(refund, lines, order.total_minor) for refund in refunds)
    if refunds and back >= order.total_minor:
        return ()
    return (Order(on, order.total_minor - back),)


def _refunded(refund: Refund, lines: dict[int, int], total: int) -> int:
    """Return what of a refund counts: no more than the lines (paid amounts by position) that it names.

    What was left out is together what the `lines` lack of `total`.
    """
    named = {position: lines[position] for position in refund.line_ix if position in lines}
    if len(named) == len(refund.line_ix):
        return min(refund.amount_minor, sum(named.values()) if named else total)
    return min(refund.amount_minor, sum(named.values()) + total - sum(lines.values()))
