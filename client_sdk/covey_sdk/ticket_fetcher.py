"""Fetching an epoch's tickets: for every purpose set that is allowed, at a time that tells nothing.

An app's background task calls `fetch_when_due`. Tickets that were fetched as a round began would tell the
registry who takes part in it, so the time is drawn within the window that opens each epoch
(`covey_sdk.ticket_fetch_time`), and a phone without tickets stays out of the round.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from covey_sdk import ticket_fetch_time
from covey_sdk.clock import milliseconds, moment
from covey_sdk.questions import TICKET_SETS
from covey_sdk.ticket_store import TicketStore

if TYPE_CHECKING:
    from covey_sdk.device import Device


class TicketFetcher:
    """Gets a device's tickets."""

    def __init__(self, device: Device) -> None:
        self._device, self._store = device, device.store
        self._wallet = TicketStore(device.store, device.key)

    def fetch(self, epoch: int, *sets: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        """Get this epoch's tickets for every one of these purpose sets that is allowed; return those.

        Whether they will be used or not: that a phone fetches them tells what its owner allows, and no more.
        """
        self._device.sync()
        allows = self._device.gate().allows
        allowed = tuple(purposes for purposes in sets if all(map(allows, purposes)))
        for purposes in allowed:
            self._fetch(purposes, epoch)
        return allowed

    def fetch_when_due(self, *sets: tuple[str, ...]) -> datetime:
        """Fetch the epoch's tickets if their time has come; return when to call this again.

        An app's background task calls it at the time that it returned last, or when the system lets it.
        `sets` are purpose sets; without any, those of all known questions. Raises RegistryError where the
        registry cannot be reached; call it again.
        """
        device = self._device
        now = device.clock.now()
        time = ticket_fetch_time.kept(self._store)
        if time is None or milliseconds(now) >= time.until:
            time = ticket_fetch_time.replace(
                self._store, time, ticket_fetch_time.drawn(device.registry.epoch(), now)
            )
        if milliseconds(now) >= time.at:
            self.fetch(time.epoch, *(sets or TICKET_SETS))
            time = ticket_fetch_time.replace(
                self._store, time, ticket_fetch_time.following(device.registry.epoch())
            )
        return moment(time.at)

    def _fetch(self, purposes: tuple[str, ...], epoch: int) -> None:
        device = self._device
        if device.registry.issuer_index(purposes, epoch) >= device.consents.checkpoint.size:
            # The first to ask has the keys made and logged: the head that the last sync brought is older.
            device.sync()
            device.gate().require(*purposes)
        issuer = device.registry.issuer(purposes, epoch, device.consents.checkpoint)
        self._wallet.fetch(issuer, device.registry, device.clock.now(), self._allows)

    def _allows(self, purpose: str) -> bool:
        return self._device.gate().allows(purpose)
