"""Purchases: the lines that were paid and kept, and on which days each category and item was bought."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from operator import attrgetter
from sys import intern

from covey_sdk.events import OrderLine, OrderPaid, Refund
from covey_sdk.rule_bundle import Rules, plain


@dataclass(frozen=True, slots=True)
class Purchase:
    """A line that was not given back. `category` is in its plain spelling, `item` as the app told it.

    `ordinary` says whether the line's category id is mapped to `ordinary`.
    """

    day: date
    item: str
    category: str
    qty: int = 1
    days_per_unit: int | None = None
    discounted: bool = False
    ordinary: bool = False


@dataclass(frozen=True, slots=True)
class Buy:
    """What was bought of a category on one day. `lasts` is in days, None where the catalogue does not say."""

    day: date
    qty: int
    lasts: int | None


def purchases(
    order: OrderPaid, refunds: Sequence[Refund], rules: Rules, sensitive: Set[str], day: date
) -> list[Purchase]:
    """Return the lines of an order of `day` that tags may be about under the `sensitive` purposes."""
    back = _returned(order, refunds) if refunds else ()
    return [
        _purchase(line, rules, day)
        for ix, line in enumerate(order.lines)
        if rules.may_enter_tags((line.category,), sensitive) and order.position(ix) not in back
    ]


def buys_of(purchases: Iterable[Purchase]) -> tuple[Buy, ...]:
    """Return the buys of one category, oldest first, of its purchases, which are oldest first."""
    return tuple(_buy(day, list(bought)) for day, bought in groupby(purchases, attrgetter("day")))


def item_days(purchases: Iterable[Purchase]) -> Mapping[str, tuple[date, ...]]:
    """Return the days on which each item was bought, oldest first, of purchases that are oldest first.

    Sensitive purchases stay out, whatever is allowed: these days are for models and for what is recommended.
    """
    by_item: dict[str, dict[date, None]] = {}
    for purchase in purchases:
        if purchase.ordinary:
            by_item.setdefault(purchase.item, {})[purchase.day] = None
    return {item: tuple(days) for item, days in by_item.items()}


def _purchase(line: OrderLine, rules: Rules, day: date) -> Purchase:
    item, category = intern(line.item_id), plain(line.category)
    ordinary = rules.is_ordinary(line.category)
    return Purchase(day, item, category, line.qty, line.days_per_unit, line.discounted, ordinary)


def _buy(day: date, bought: Sequence[Purchase]) -> Buy:
    lasts = [each.qty * each.days_per_unit for each in bought if each.days_per_unit is not None]
    return Buy(day, sum([each.qty for each in bought]), sum(lasts) if len(lasts) == len(bought) else None)


def _returned(order: OrderPaid, refunds: Sequence[Refund]) -> Set[int]:
    """Return the positions of the lines whose whole price went back."""
    paid = {order.position(ix): line.paid_minor for ix, line in enumerate(order.lines)}
    back: dict[tuple[tuple[int, ...], bool], int] = {}
    for refund in refunds:
        named = tuple(sorted(refund.line_ix)), refund.left_out
        back[named] = back.get(named, 0) + refund.amount_minor
    if sum(back.values()) >= order.total_minor:
        return paid.keys()
    # What a line cost that was left out is not kept: all that was left out is the most that it can be.
    others = order.total_minor - sum(paid.values())
    return {
        position
        for (named, left_out), amount in back.items()
        if amount >= sum(paid.get(each, 0) for each in named) + (others if left_out else 0)
        for position in named
    }
