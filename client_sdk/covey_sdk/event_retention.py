"""What of an event is kept: by which purposes, which part of it, and until when.

A sensitive line is kept only under its own purpose, one whose category is not mapped only under `health` and
`family` together. Personalisation keeps an order's whole total without such a line; any other purpose keeps
the order as if the rest were all of it. What was done with a sensitive item is kept only while its own
purpose is allowed too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from dataclasses import replace
from datetime import datetime

from covey_sdk import events
from covey_sdk.clock import milliseconds
from covey_sdk.events import Event, OrderPaid, Refund
from covey_sdk.interactions import Interaction
from covey_sdk.purposes import EVENTS, PERSONALIZE, SENSITIVE
from covey_sdk.rule_bundle import Rules

Allows = Callable[[str], bool]
"""`allows(purpose)`: whether something may be kept for it."""

_DAY_MS = 86_400_000


def needed_purposes(event: Event, allows: Allows, now: datetime) -> set[str]:
    """Return the allowed purposes that need an event of this type and age."""
    age_ms = milliseconds(now) - event.at_ms
    terms = EVENTS[events.name_of(event)]
    return {purpose for purpose, days in terms.items() if age_ms <= days * _DAY_MS and allows(purpose)}


def kept_part(
    event: Event, allows: Allows, rules: Rules, order: OrderPaid | None, now: datetime
) -> Event | None:
    """Return what of the event may be kept; a refund is cut to what is kept of its `order`."""
    needed = needed_purposes(event, allows, now)
    if not needed:
        return None
    if isinstance(event, OrderPaid):
        return _kept_order(event, needed, rules)
    if isinstance(event, Refund):
        return _kept_refund(event, order) if order else None
    if isinstance(event, Interaction):
        return event if rules.admits(event.category, frozenset(filter(allows, SENSITIVE))) else None
    return event


def retention_ends(event: Event, allows: Allows, now_ms: int) -> list[int]:
    """Return when (ms) an allowed purpose will need the event no more, for each that does now."""
    ends = (
        event.at_ms + days * _DAY_MS
        for purpose, days in EVENTS[events.name_of(event)].items()
        if allows(purpose)
    )
    return [end + 1 for end in ends if end >= now_ms]


def _kept_order(order: OrderPaid, needed: Set[str], rules: Rules) -> OrderPaid | None:
    """Return the order with the lines that `needed` may keep.

    Personalisation keeps the whole total, for recency, frequency and value, also where it keeps no line.
    """
    held = [ix for ix, line in enumerate(order.lines) if rules.keeps(line.category, needed)]
    lines = tuple(order.lines[ix] for ix in held)
    paid = sum(line.paid_minor for line in lines)
    total = order.total_minor if PERSONALIZE in needed else paid
    if len(held) == len(order.lines) and total == order.total_minor:
        return order if lines or PERSONALIZE in needed else None
    if not held and PERSONALIZE not in needed:
        return None
    positions, partial = tuple(map(order.position, held)), not lines or paid != total
    return replace(order, lines=lines, total_minor=total, positions=positions, partial=partial)


def _kept_refund(refund: Refund, order: OrderPaid) -> Refund | None:
    """Return the refund without the positions of lines that were left out of the order.

    Where the order's total holds them still, so does the refund's amount, and `left_out` stands for them.
    """
    paid = {order.position(ix): line.paid_minor for ix, line in enumerate(order.lines)}
    named = tuple(position for position in refund.line_ix if position in paid)
    left_out = order.partial and (refund.left_out or len(named) < len(refund.line_ix))
    most = order.total_minor
    if refund.line_ix or refund.left_out:
        if not named and not left_out:
            return None
        others = order.total_minor - sum(paid.values()) if left_out else 0
        most = sum(paid[position] for position in named) + others
    amount = min(refund.amount_minor, most)
    return replace(refund, line_ix=named, amount_minor=amount, left_out=left_out)


def unmapped_categories_of(event: Event, allows: Allows, rules: Rules, now: datetime) -> set[str]:
    """Return the categories of an event that have no mapping, as far as personalisation may ask for one."""
    days = EVENTS[events.name_of(event)].get(PERSONALIZE, 0)
    if not allows(PERSONALIZE) or milliseconds(now) - event.at_ms > days * _DAY_MS:
        return set()
    if isinstance(event, OrderPaid):
        named: Iterable[str] = (line.category for line in event.lines)
    else:
        named = event.category if isinstance(event, Interaction) else ()
    return {category for category in named if rules.kind_of(category) is None}
