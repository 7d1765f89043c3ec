"""The journal: which events are kept, and that each counts once.

An event is kept while a purpose that needs it is allowed, for as long as that purpose keeps it, and only the
part that this purpose may keep (`event_retention`).

A refund that is told before its order waits for it (`early_refunds`): the order in which events come makes no
difference to what is kept of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta

from covey_sdk import events, refunds_before_orders, unmapped_categories
from covey_sdk.clock import milliseconds, milliseconds_after
from covey_sdk.errors import EventError, StoreError
from covey_sdk.event_retention import (
    Allows,
    kept_part,
    needed_purposes,
    retention_ends,
    unmapped_categories_of,
)
from covey_sdk.events import Event, OrderPaid, Refund
from covey_sdk.interactions import Interaction
from covey_sdk.purposes import EVENTS
from covey_sdk.refunds_before_orders import EarlyRefunds
from covey_sdk.rule_bundle import Rules
from covey_sdk.store import Store

FUTURE = timedelta(minutes=5)
"""By how much the clocks that date events may differ."""

_Revision = tuple[int, tuple[int, int]]

_ToSweep = tuple[frozenset[str], int, _Revision]
"""What a sweep depends on besides the time: purposes, version of the rules, revision of the events."""

_NEVER = 2**63
_CURRENCY = "currency"


class Journal:
    """The events of a store. `currency` is the profile's; None takes it from the first order."""

    def __init__(self, store: Store, currency: str | None = None) -> None:
        self._store = store
        self._currency = currency
        self._changes = 0
        self._swept: _ToSweep | None = None
        self._clean_until = 0

    @property
    def revision(self) -> _Revision:
        """What changes whenever the events may have: by this journal, or by another opener of the file."""
        return self._changes, self._store.foreign_changes

    def events(self) -> list[Event]:
        """Return the events kept, in the order in which they came."""
        return [event for _, event in self.events_after(0)]

    def events_after(self, seq: int) -> list[tuple[int, Event]]:
        """Return the events with a greater number, each with its number, in the order in which they came."""
        return [(number, _decoded(data)) for number, data in self._store.events_after(seq)]

    def order_of(self, order_id: str) -> OrderPaid | None:
        """Return the order of that id as it is kept, None where none is."""
        found = self._store.find_event(self._store.tag("order_paid", order_id))
        order = _decoded(found[1]) if found else None
        return order if isinstance(order, OrderPaid) else None

    def early_refunds(self) -> list[Refund]:
        """Return the refunds that were told before their order; they count once it has come."""
        return refunds_before_orders.waiting(self._store)

    def record_all(self, told: Iterable[Event], allows: Allows, rules: Rules, now: datetime) -> int:
        """Record events, the oldest first and refunds last; return how many were kept. See `record`."""
        told = _listed(told)
        for event in told:
            if type(event) not in events.CLASSES:
                raise EventError(
                    f"a {type(event).__name__} is no event; covey_sdk.events.parse makes one of a mapping"
                )
        clean = self._swept == self._to_sweep(allows, rules)
        early = EarlyRefunds(self._store, now)
        oldest_first = sorted(told, key=lambda event: (isinstance(event, Refund), event.at_ms))
        waiting: Counter[str] = Counter()
        kept = 0
        for event in oldest_first:
            recorded = self._record(event, allows, rules, now, early)
            kept += recorded
            # An order that was told before counts once; an interaction that is not kept cannot be recognised.
            if recorded or isinstance(event, Interaction):
                waiting.update(unmapped_categories_of(event, allows, rules, now))
        early.save()
        unmapped_categories.count_unmapped(self._store, waiting)
        if clean:
            ends = [end for event in told for end in retention_ends(event, allows, milliseconds(now))]
            self._swept = self._to_sweep(allows, rules)
            self._clean_until = min([self._clean_until, *ends])
        return kept

    def record(self, event: Event, allows: Allows, rules: Rules, now: datetime) -> bool:
        """Keep the event; return False when no allowed purpose needs it or another source told of it before.

        Raises EventError when it comes from the future, came before, is in another currency, or is a refund
        of before its order.
        """
        early = EarlyRefunds(self._store, now)
        kept = self._record(event, allows, rules, now, early)
        early.save()
        return kept

    def _record(self, event: Event, allows: Allows, rules: Rules, now: datetime, early: EarlyRefunds) -> bool:
        if event.at_ms > milliseconds_after(now, FUTURE):
            raise EventError(
                f"{events.name_of(event)}.at_ms is {event.at_ms}, in the future; check the clock that set it"
            )
        order = self.order_of(event.order_id) if isinstance(event, Refund) else None
        if isinstance(event, Refund) and order is None:
            return bool(needed_purposes(event, allows, now)) and self._wait(event, early)
        if isinstance(event, Refund) and order is not None:
            _require_not_before(event, order)
        kept = kept_part(event, allows, rules, order, now)
        if kept is None or self._told(event):
            return False
        if isinstance(event, OrderPaid):
            self._require_currency(event.currency)
        self._append(event, kept)
        if isinstance(kept, OrderPaid):
            self._bring(kept, early.take(kept.order_id), allows, rules, now)
        return True

    def _append(self, event: Event, kept: Event) -> None:
        sum_tag = self._store.tag("substance", *event.substance)
        self._store.append_event(self._id_tag(event), sum_tag, events.encode(kept))
        self._changes += 1

    def _wait(self, refund: Refund, early: EarlyRefunds) -> bool:
        """Let a refund wait for its order; return False when another source told of it before."""
        known = early.find(refund)
        if known is None:
            early.add(refund)
            return True
        _require_agreement(refund, known.substance == refund.substance, known.source)
        return False

    def _bring(
        self, order: OrderPaid, refunds: Iterable[Refund], allows: Allows, rules: Rules, now: datetime
    ) -> None:
        """Keep the refunds that waited for this order. One dated before it is of no order, and goes."""
        for refund in refunds:
            kept = kept_part(refund, allows, rules, order, now)
            if kept is not None and not _is_before(refund, order):
                self._append(refund, kept)
                self._clean_until = min(
                    [self._clean_until, *retention_ends(refund, allows, milliseconds(now))]
                )

    def __len__(self) -> int:
        return self._store.count_events()

    def sweep(self, allows: Allows, rules: Rules, now: datetime) -> int:
        """Delete or cut down what no allowed purpose needs any more; return how many events that met.

        No event is looked at before the day on which the first of them can have aged out, as long as
        purposes, rules and events are those of the last time.
        """
        early = refunds_before_orders.sweep(self._store, allows, now)
        state = self._to_sweep(allows, rules)
        if self._swept == state and milliseconds(now) < self._clean_until:
            return early
        met, until = self._sweep(allows, rules, now)
        self._swept, self._clean_until = state, until
        return early + met

    def _to_sweep(self, allows: Allows, rules: Rules) -> _ToSweep:
        purposes = {purpose for terms in EVENTS.values() for purpose in terms}
        return frozenset(filter(allows, purposes)), rules.version, self.revision

    def _sweep(self, allows: Allows, rules: Rules, now: datetime) -> tuple[int, int]:
        """Sweep; return how many events that met, and when (ms) the next can age out."""
        orders: dict[str, OrderPaid] = {}
        gone, met, until = [], 0, _NEVER
        for seq, event in self.events_after(0):
            order = orders.get(event.order_id) if isinstance(event, Refund) else None
            kept = kept_part(event, allows, rules, order, now)
            if isinstance(kept, OrderPaid):
                orders[kept.order_id] = kept
            if kept is None:
                gone.append(seq)
            elif kept != event:
                self._store.replace_event(seq, events.encode(kept))
            met += kept != event
            until = min([until, *retention_ends(event, allows, milliseconds(now))])
        self._store.delete_events(gone)
        self._changes += met
        return met, until

    def _id_tag(self, event: Event) -> bytes:
        return self._store.tag(events.name_of(event), *event.identity)

    def _told(self, event: Event) -> bool:
        """Say whether another source told of this event. Raises EventError where it is told twice."""
        found = self._store.find_event(self._id_tag(event))
        if found is None:
            return False
        agrees = found[0] == self._store.tag("substance", *event.substance)
        _require_agreement(event, agrees, _decoded(found[1]).source)
        return True

    def _require_currency(self, currency: str) -> None:
        kept = self._store.get(_CURRENCY)
        expected = self._currency or (kept.decode() if kept else currency)
        if currency != expected:
            raise EventError(
                f"order_paid.currency is {currency}; this profile is in {expected}: convert it first"
            )
        if kept is None:
            self._store.put(_CURRENCY, currency.encode())


def _listed(told: Iterable[Event]) -> list[Event]:
    try:
        each = iter(told)
    except TypeError:
        raise EventError(f"a list of events was expected; a {type(told).__name__} was given") from None
    return list(each)


def _require_agreement(event: Event, agrees: bool, source: str) -> None:
    """Raise EventError where a report does not agree with the earlier one, or has the same `source`."""
    name = f"{events.name_of(event)} {event.identity[-1]!r}"
    if not agrees:
        raise EventError(
            f"{name} is recorded already with another amount or other lines; nothing was changed"
        )
    if isinstance(event, OrderPaid | Refund) and source == event.source:
        raise EventError(f"{name} is recorded already from {event.source!r}; record it once")


def _is_before(refund: Refund, order: OrderPaid) -> bool:
    return refund.at_ms < order.at_ms - FUTURE // timedelta(milliseconds=1)


def _require_not_before(refund: Refund, order: OrderPaid) -> None:
    if _is_before(refund, order):
        raise EventError(
            f"refund.at_ms is {refund.at_ms}, before its order was paid at {order.at_ms}; "
            "check the clock that set it, and the order_id"
        )


def _decoded(data: bytes) -> Event:
    try:
        return events.decode(data)
    except EventError as error:
        raise StoreError(f"the store holds an event that this SDK cannot read: {error}") from None
