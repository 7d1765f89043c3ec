"""Retention: what no granted purpose needs any more is deleted, and the ledger says so."""

from __future__ import annotations

from datetime import datetime

from covey_sdk import ledger, round_records, unmapped_categories, withdrawal_claims
from covey_sdk.clock import milliseconds
from covey_sdk.consents import Consents
from covey_sdk.journal import Journal
from covey_sdk.log_state import LogState
from covey_sdk.profile import Profile
from covey_sdk.releases import Releases
from covey_sdk.store import Store
from covey_sdk.ticket_store import TicketStore
from covey_sdk.withdrawal_claims import KeptWithdrawal


class Retention:
    """Deletes what the consents of a store no longer allow to keep: events, tickets, rounds and releases."""

    def __init__(
        self,
        store: Store,
        log: LogState,
        consents: Consents,
        tickets: TicketStore,
        journal: Journal,
        releases: Releases,
        profile: Profile,
    ) -> None:
        self._store, self._log, self._consents, self._tickets = store, log, consents, tickets
        self._journal, self._releases, self._profile = journal, releases, profile

    def purge(self, now: datetime) -> bool:
        """Delete what no granted purpose needs, in the caller's transaction; say whether events were met.

        Before their secrets go, the round keys of unused tickets and open contributions are claimed: by
        those claims the owner proves later that nothing of theirs was counted since.
        """
        granted, rules = self._consents.granted, self._profile.rules
        self._releases.sweep(granted)
        claims = self._tickets.sweep(granted)
        claims += round_records.sweep(self._store, granted, int(now.timestamp()))
        if claims:
            ended = tuple(sorted(name for name in self._consents.decisions if not granted(name)))
            withdrawal = KeptWithdrawal(milliseconds(now), ended, self._log.note, tuple(claims))
            withdrawal_claims.keep_withdrawal(self._store, withdrawal)
        unmapped_categories.sweep(self._store, granted, rules)
        self._profile.choices.sweep(granted)
        met = self._journal.sweep(granted, rules, now)
        if met:
            ledger.write(self._store, ledger.purge(milliseconds(now), met))
        return met > 0
