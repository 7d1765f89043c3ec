"""The choices at hand: what devices' people chose, in memory in front of the table.

Never older than what has been acknowledged: one process serves one database, every decision goes through
`Choices.record`, and its device is forgotten here after the COMMIT and before the answer.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from functools import partial
from threading import Lock

from sqlalchemy.orm import Session

from covey_consent import decisions
from covey_consent.epochs import Calendar
from covey_consent.store import Store
from covey_consent.writer import after_commit
from covey_privacy.consent import Choice, Decision

LIMIT = 100_000
"""Devices kept at hand; with six purposes each they take about 100 MB."""


class Choices:
    """The standing choices, of the devices that asked last without the table."""

    def __init__(self, store: Store, limit: int = LIMIT) -> None:
        self._store, self._limit = store, limit
        self._lock = Lock()
        self._held: OrderedDict[bytes, tuple[Choice, ...]] = OrderedDict()
        self._forgotten = 0

    async def of(self, device: bytes) -> tuple[Choice, ...]:
        """Return the device's standing choices. Raises UnknownError when it is not enrolled."""
        held = self._look_up(device)
        return await self._store.read(self._fetch, device) if held is None else held

    def record(
        self, session: Session, signed: Sequence[bytes], opened: Sequence[Decision], calendar: Calendar
    ) -> None:
        """Keep decisions as `decisions.record` does."""
        decisions.record(session, signed, opened, calendar)
        after_commit(session, partial(self._forget, {decision.device for decision in opened}))

    def _look_up(self, device: bytes) -> tuple[Choice, ...] | None:
        with self._lock:
            if device in self._held:
                self._held.move_to_end(device)
            return self._held.get(device)

    def _fetch(self, session: Session, device: bytes) -> tuple[Choice, ...]:
        forgotten = self._forgotten
        choices = decisions.choices(session, device)
        with self._lock:
            # A decision that was committed meanwhile may be this device's, and missing from what was read.
            if forgotten == self._forgotten:
                self._held[device] = choices
                if len(self._held) > self._limit:
                    self._held.popitem(last=False)
        return choices

    def _forget(self, devices: Iterable[bytes]) -> None:
        with self._lock:
            self._forgotten += 1
            for device in devices:
                self._held.pop(device, None)
