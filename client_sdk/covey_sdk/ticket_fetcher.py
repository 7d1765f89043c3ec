"""Fetching an epoch's tickets: for every purpose set that is allowed, at a random time.

A phone that fetched its tickets as a round began would show the registry, by the time of day, which ticket it
is about to use. Each phone therefore draws its own time, uniformly, within the window that opens each epoch,
and rounds begin once the window has closed. A phone that was off during a window waits for the next one, and
stays out of the rounds until then. An app's background task calls `fetch_when_due`.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime

from covey_privacy import wire
from covey_sdk.clock import Clock, milliseconds, moment
from covey_sdk.consents import Consents
from covey_sdk.questions import TICKET_SETS
from covey_sdk.registry_client import Epoch
from covey_sdk.registry_sync import RegistrySync
from covey_sdk.store import Store
from covey_sdk.stored_value import StoredValue
from covey_sdk.ticket_store import TicketStore


@dataclass(frozen=True, slots=True)
class FetchTime:
    """When to fetch the tickets of `epoch`, in UTC milliseconds: at `at`, not from `until` on."""

    epoch: wire.U64
    at: wire.U64
    until: wire.U64


class TicketFetcher:
    """Gets a device's tickets; made by `Device.ticket_fetcher`."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        consents: Consents,
        tickets: TicketStore,
        registry_sync: RegistrySync,
    ) -> None:
        self._store, self._clock, self._consents = store, clock, consents
        self._tickets, self._sync = tickets, registry_sync
        self._time = StoredValue[FetchTime | None](
            store, "fetching", None, lambda data: wire.decode(FetchTime, data)
        )

    def fetch(self, epoch: int, *sets: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        """Get this epoch's tickets for every one of these purpose sets that is allowed; return those.

        Whether they will be used or not: that a phone fetches them tells what its owner allows, and no more.
        """
        self._sync.sync()
        gate = self._consents.gate(self._clock.now())
        allowed = tuple(purposes for purposes in sets if all(map(gate.allows, purposes)))
        for purposes in allowed:
            self._fetch(purposes, epoch)
        return allowed

    def fetch_when_due(self, *sets: tuple[str, ...]) -> datetime:
        """Fetch the epoch's tickets if their time has come; return when to call this again.

        An app's background task calls it at the time that it returned last, or when the system lets it.
        `sets` are purpose sets; without any, those of all known questions. Raises RegistryError where the
        registry cannot be reached; call it again.
        """
        now, time = self._clock.now(), self._time.read()
        if time is None or milliseconds(now) >= time.until:
            time = self._replace_time(time, _draw_time(self._sync.registry.epoch(), now))
        if milliseconds(now) >= time.at:
            self.fetch(time.epoch, *(sets or TICKET_SETS))
            time = self._replace_time(time, _draw_next_time(self._sync.registry.epoch()))
        return moment(time.at)

    def _fetch(self, purposes: tuple[str, ...], epoch: int) -> None:
        registry = self._sync.registry
        if registry.issuer_index(purposes, epoch) >= self._consents.checkpoint.size:
            # The first to ask has the keys made and logged: the head that the last sync brought is older.
            self._sync.sync()
            self._consents.gate(self._clock.now()).require(*purposes)
        issuer = registry.issuer(purposes, epoch, self._consents.checkpoint)
        self._tickets.fetch(issuer, registry, self._clock.now(), self._allows)

    def _allows(self, purpose: str) -> bool:
        return self._consents.gate(self._clock.now()).allows(purpose)

    def _replace_time(self, before: FetchTime | None, new: FetchTime) -> FetchTime:
        """Keep `new` in place of `before`; return what is kept. Of two processes, the first's time counts."""
        with self._store.transaction():
            kept = self._time.read()
            if kept is not None and kept != before:
                return kept
            self._time.write(new)
            return new


def _draw_time(epoch: Epoch, now: datetime) -> FetchTime:
    """Return a time in what is left of the epoch's fetch window; where it has closed, in the next epoch's."""
    until = 1000 * epoch.fetch_until
    earliest = max(milliseconds(now), 1000 * epoch.begins_at)
    if earliest < until:
        return FetchTime(epoch.number, earliest + secrets.randbelow(until - earliest), until)
    return _draw_next_time(epoch)


def _draw_next_time(epoch: Epoch) -> FetchTime:
    """Return a time in the fetch window of the epoch after this one."""
    window, ends = 1000 * (epoch.fetch_until - epoch.begins_at), 1000 * epoch.ends_at
    return FetchTime(epoch.number + 1, ends + secrets.randbelow(window), ends + window)
