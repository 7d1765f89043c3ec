"""Makes a history of events one by one: each costs the work for what it is about, not for all before it.

    builder = HistoryBuilder(rules, zone, order_of)
    for event in events:
        builder.add(event)
    history = builder.history(today)

Events are added in the order in which they were kept. Adding the same events to a new builder gives the same
history.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from itertools import chain

from covey_sdk import purchases
from covey_sdk.clock import day
from covey_sdk.events import AppOpen, Event, OrderPaid, Refund
from covey_sdk.history import History, KeptPurchases, Order
from covey_sdk.interactions import Interaction
from covey_sdk.interests import ORDER_LINE, Interests
from covey_sdk.purchases import Buy, Purchase
from covey_sdk.rule_bundle import Rules, plain

OrderOf = Callable[[str], OrderPaid | None]
"""`order_of(order_id)`: the order that a refund is for. A builder keeps what orders come to, and not them."""

_Place = tuple[date, int, str]
"""Day, milliseconds and order id. By day first: where offsets differ, times and days may disagree."""


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
        self._places: list[_Place] = []
        """The places of all orders, oldest first."""
        self._places_of: dict[str, list[_Place]] = {}
        """The places of the orders that hold something of a category, oldest first."""
        self._stale: set[str] = set()
        """The categories whose buys are to be worked out anew."""
        self._refunds: dict[str, list[Refund]] = {}
        self._orders: tuple[Order, ...] | None = ()
        self._bought = KeptPurchases()
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
            counted = [self._counted[order_id] for _, _, order_id in self._places]
            self._orders = tuple([each.order for each in counted if each.order])
            lines = tuple(chain.from_iterable([each.lines for each in counted]))
            self._bought = KeptPurchases(lines, self._buys(), self._bought.memo)
        currency = next(iter(self._currencies)) if len(self._currencies) == 1 else None
        return History(
            today, self._orders, self._last_open, self._bought, self._interests, self._sensitive, currency
        )

    def _count(self, order: OrderPaid) -> None:
        """Count an order anew: it, or a refund of it, was added."""
        self._currencies.add(order.currency)
        if order.order_id in self._counted:
            self._enter(order.order_id, self._counted[order.order_id], -1)
        refunds, on = self._refunds.get(order.order_id, []), self._day(order)
        lines = tuple(purchases.purchases(order, refunds, self._rules, self._sensitive, on))
        self._counted[order.order_id] = _Counted(on, order.at_ms, _net(order, refunds, on), lines)
        self._enter(order.order_id, self._counted[order.order_id])
        self._orders = None

    def _enter(self, order_id: str, counted: _Counted, times: int = 1) -> None:
        """Enter an order where orders and interests are counted; with -1 `times` it is taken out again."""
        for line in counted.lines:
            self._interests.add(line.day, ORDER_LINE, (line.category,), times)
        place = counted.day, counted.at_ms, order_id
        categories = {line.category for line in counted.lines}
        self._stale |= categories
        for places in self._places, *[self._places_of.setdefault(each, []) for each in categories]:
            if times > 0:
                insort(places, place)
            else:
                del places[bisect_left(places, place)]

    def _buys(self) -> dict[str, tuple[Buy, ...]]:
        """Return the buys of every category, by its name, worked out anew for those that changed."""
        buys = dict(self._bought.buys)
        for category in self._stale:
            orders = [self._counted[order_id] for _, _, order_id in self._places_of[category]]
            lines = [line for order in orders for line in order.lines if line.category == category]
            buys[category] = purchases.buys_of(lines)
        self._stale.clear()
        return {category: buys[category] for category in sorted(buys) if buys[category]}

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
