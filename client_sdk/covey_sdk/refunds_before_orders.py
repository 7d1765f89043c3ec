"""Refunds that were told before their order: kept aside until the order comes.

They are sealed in the store like events, but are none yet: no tag, fact or query reads them. The journal
takes a refund out as soon as its order is kept. One whose order never comes is deleted after `MOST_DAYS`,
or when no purpose that needs refunds is allowed any more. At most `MOST` wait; the first makes room.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from covey_privacy import wire
from covey_privacy.errors import PrivacyError
from covey_sdk import events
from covey_sdk.clock import milliseconds, milliseconds_after
from covey_sdk.errors import EventError, StoreError
from covey_sdk.events import Refund
from covey_sdk.purposes import EVENTS
from covey_sdk.store import Store

MOST = 1000
MOST_DAYS = 30

_NAME = "early_refunds"


@dataclass(frozen=True, slots=True)
class _Waiting:
    since: wire.U64
    refund: Annotated[bytes, wire.Size(1, 2**14)]


@dataclass(frozen=True, slots=True)
class _Kept:
    waiting: Annotated[tuple[_Waiting, ...], wire.Size(0, MOST)] = ()


class EarlyRefunds:
    """The refunds that wait in a store, read once; `save` writes changes, in the caller's transaction."""

    def __init__(self, store: Store, now: datetime) -> None:
        self._store = store
        self._since = milliseconds(now)
        oldest = milliseconds_after(now, -timedelta(days=MOST_DAYS))
        held = _read(store)
        self._waiting = [(since, refund) for since, refund in held if since >= oldest]
        self._expired = len(held) - len(self._waiting)
        self._read = held

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def expired(self) -> int:
        """How many refunds were found that have waited too long."""
        return self._expired

    def find(self, refund: Refund) -> Refund | None:
        """Return the report of the same refund that waits already, None where there is none."""
        return next((kept for _, kept in self._waiting if kept.identity == refund.identity), None)

    def add(self, refund: Refund) -> None:
        """Let a refund wait for its order."""
        self._waiting = [*self._waiting, (self._since, refund)][-MOST:]

    def take(self, order_id: str) -> list[Refund]:
        """Return the refunds that wait for an order, and forget them."""
        taken = [refund for _, refund in self._waiting if refund.order_id == order_id]
        if taken:
            self._waiting = [(since, kept) for since, kept in self._waiting if kept.order_id != order_id]
        return taken

    def clear(self) -> None:
        """Forget all of them."""
        self._waiting = []

    def save(self) -> None:
        """Write down what has changed."""
        if self._waiting == self._read:
            return
        if self._waiting:
            waiting = tuple(_Waiting(since, events.encode(refund)) for since, refund in self._waiting)
            self._store.put(_NAME, wire.encode(_Kept(waiting)))
        else:
            self._store.delete(_NAME)
        self._read = self._waiting


def waiting(store: Store) -> list[Refund]:
    """Return every refund that waits for its order, in the order in which they came."""
    return [refund for _, refund in _read(store)]


def sweep(store: Store, allows: Callable[[str], bool], now: datetime) -> int:
    """Delete what has waited too long, or all when no allowed purpose needs refunds; return how many went."""
    early = EarlyRefunds(store, now)
    gone = early.expired
    if not any(map(allows, EVENTS["refund"])):
        gone += len(early)
        early.clear()
    early.save()
    return gone


def _read(store: Store) -> list[tuple[int, Refund]]:
    data = store.get(_NAME)
    try:
        kept = wire.decode(_Kept, data) if data else _Kept()
        return [(each.since, _refund(each.refund)) for each in kept.waiting]
    except (PrivacyError, EventError) as error:
        raise StoreError(f"the store holds early refunds that this SDK cannot read: {error}") from None


def _refund(data: bytes) -> Refund:
    event = events.decode(data)
    if not isinstance(event, Refund):
        raise EventError(f"a refund was expected; the store holds a {events.name_of(event)}")
    return event
