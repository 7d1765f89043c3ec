"""When this phone fetches an epoch's tickets: at a random time of the window that opens the epoch.

A phone that fetched its tickets as a round began would show the registry, by the time of day, which ticket it
is about to use. Each phone therefore draws its own time within the fetch window, uniformly, and rounds begin
once the window has closed. A phone that was off during a window waits for the next one.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from covey_privacy import wire
from covey_privacy.errors import PrivacyError
from covey_sdk.clock import milliseconds
from covey_sdk.errors import StoreError
from covey_sdk.registry_client import Epoch
from covey_sdk.store import Store

Below = Callable[[int], int]
"""`below(n)`: a number drawn uniformly from 0 to n - 1."""

_NAME = "fetching"


@dataclass(frozen=True, slots=True)
class FetchTime:
    """When to fetch the tickets of `epoch`, in UTC milliseconds: at `at`, not from `until` on."""

    epoch: wire.U64
    at: wire.U64
    until: wire.U64


def drawn(epoch: Epoch, now: datetime, below: Below = secrets.randbelow) -> FetchTime:
    """Return a time in what is left of the epoch's fetch window; where it has closed, in the next epoch's."""
    until = 1000 * epoch.fetch_until
    earliest = max(milliseconds(now), 1000 * epoch.begins_at)
    if earliest < until:
        return FetchTime(epoch.number, earliest + below(until - earliest), until)
    return following(epoch, below)


def following(epoch: Epoch, below: Below = secrets.randbelow) -> FetchTime:
    """Return a time in the fetch window of the epoch after this one."""
    window = 1000 * (epoch.fetch_until - epoch.begins_at)
    ends = 1000 * epoch.ends_at
    return FetchTime(epoch.number + 1, ends + below(window), ends + window)


def kept(store: Store) -> FetchTime | None:
    """Return the time that was drawn last, None where none was."""
    data = store.get(_NAME)
    try:
        return wire.decode(FetchTime, data) if data else None
    except PrivacyError as error:
        raise StoreError(f"the time to fetch tickets at cannot be read: {error}") from None


def replace(store: Store, before: FetchTime | None, new: FetchTime) -> FetchTime:
    """Keep `new` in place of `before`; return what is kept. Of two processes, the first one's time counts."""
    with store.transaction():
        held = kept(store)
        if held != before and held is not None:
            return held
        store.put(_NAME, wire.encode(new))
        return new
