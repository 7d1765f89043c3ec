"""The person's decisions, carried out on the phone and told to the registry.

A grant counts once the registry has confirmed it. A refusal or withdrawal counts at once, whether or not the
registry can be reached, and deletes what no other granted purpose needs.
"""

from __future__ import annotations

from covey_privacy import wire
from covey_privacy.registry_messages import GRANTED, REFUSED, WITHDRAWN
from covey_sdk.clock import Clock
from covey_sdk.consents import Consents, require_purpose
from covey_sdk.errors import ConsentError
from covey_sdk.purposes import CONTRACT
from covey_sdk.registry_sync import RegistrySync
from covey_sdk.retention import Retention
from covey_sdk.store import Store


class Decisions:
    """Carries out decisions about purposes. `language` and `method` are those in which they were made."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        consents: Consents,
        retention: Retention,
        registry_sync: RegistrySync,
    ) -> None:
        self._store, self._clock, self._consents = store, clock, consents
        self._retention, self._sync = retention, registry_sync

    def decide(self, purpose: str, state: str, language: str, method: str) -> bytes:
        """Write a decision down, delete what it ends, and return it signed. See `Device.decision`."""
        require_purpose(purpose)
        if state != GRANTED and purpose in CONTRACT:
            raise ConsentError(
                f"purpose {purpose!r} rests on the contract with the shop; end that with the shop"
            )
        if purpose not in self._consents.decisions:
            self._sync.fetch_notices()
        with self._store.transaction():
            # A wrong clock must not hinder anyone from saying no.
            now = self._clock.now() if state == GRANTED else self._clock.unchecked()
            signed = self._consents.decide(purpose, state, language, method, now)
            if state == GRANTED:
                self._clock.keep(now)
            else:
                self._retention.purge(now)
        if state != GRANTED:
            self._store.scrub()
        return signed

    def grant(self, purpose: str, language: str, method: str) -> None:
        """Grant a purpose and have the registry confirm it. See `Device.grant`."""
        registry = self._sync.registry
        self.decide(purpose, GRANTED, language, method)
        self._consents.send_grants(registry, self._clock.now())
        self._sync.sync()

    def refuse(self, purpose: str, language: str, method: str) -> None:
        """Decline a purpose that was never granted."""
        self.decide(purpose, REFUSED, language, method)
        self._sync.send_refusals()

    def withdraw(self, purpose: str, language: str, method: str) -> None:
        """Withdraw a purpose; nothing to do for one that was never decided on."""
        require_purpose(purpose)
        with self._store.snapshot():
            decided = purpose in self._consents.decisions
        if decided or purpose in CONTRACT:
            self.decide(purpose, WITHDRAWN, language, method)
            self._sync.send_refusals()

    def withdraw_all(self) -> bytes:
        """Withdraw everything on the phone; return the signed withdrawals, empty where there are none."""
        with self._store.transaction():
            now = self._clock.unchecked()
            batch = self._consents.withdraw_all(now)
            self._retention.purge(now)
        self._store.scrub()
        return wire.encode(batch) if batch else b""
