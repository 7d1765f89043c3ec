"""Synchronisation with the registry: decisions and retractions go there, notices and choices come back."""

from __future__ import annotations

from contextlib import suppress

from covey_sdk import round_records
from covey_sdk.clock import Clock
from covey_sdk.consents import Consents
from covey_sdk.errors import RegistryError
from covey_sdk.registry_client import RegistryClient
from covey_sdk.retention import Retention
from covey_sdk.store import Store

_SWEPT = "swept"
"""The name under which the day of the last purge is stored."""


class RegistrySync:
    """A device's exchange with its registry; `registry` is None where the device was opened without one."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        consents: Consents,
        retention: Retention,
        registry: RegistryClient | None,
    ) -> None:
        self._store, self._clock, self._consents, self._retention = store, clock, consents, retention
        self._registry = registry

    @property
    def registry(self) -> RegistryClient:
        """The registry. Raises RegistryError when the device was opened without one."""
        if self._registry is None:
            raise RegistryError("this device was opened without a registry; give Device.open one")
        return self._registry

    def sync(self) -> None:
        """Send what the registry has not heard, retractions too, and take notices and choices from it.

        Raises RegistryError when it cannot be reached or believed; nothing is taken then. Raises
        RegistryForkError when its log forked or was rolled back.
        """
        now = self._clock.now()
        purged = False

        def settle(ended: frozenset[str]) -> None:
            nonlocal purged
            day = now.date().isoformat().encode()
            if ended or self._store.get(_SWEPT) != day:
                purged = self._retention.purge(now)
                self._store.put(_SWEPT, day)
            round_records.expire(self._store, int(now.timestamp()))
            self._clock.keep(now)

        self._consents.sync(self.registry, now, settle)
        if purged:
            self._store.scrub()
        self.retract()

    def send_refusals(self) -> None:
        """Send refusals and retractions now; where the registry cannot be reached, the next `sync` does."""
        if self._registry is None:
            return
        with suppress(RegistryError):
            self._consents.send_refusals(self._registry, self._clock.unchecked())
        self.retract()

    def send_farewell(self, farewell: bytes) -> bool:
        """Send the last withdrawals of a device that is erased; say whether the registry has them."""
        with suppress(RegistryError):
            self.registry.send_farewell(farewell)
            return True
        return False

    def fetch_notices(self) -> None:
        """Ask for the notices where none has been seen yet."""
        if not self._consents.notices:
            self._consents.keep_notices(self.registry.notices())

    def retract(self) -> None:
        """Take back the messages of rounds whose purpose was withdrawn, where no set was signed yet."""
        for round_id, retraction in round_records.retractions(self._store).items():
            try:
                self.registry.retract(round_id, retraction)
            except RegistryError as error:
                if not error.is_final:
                    continue
            round_records.end_retraction(self._store, round_id)
