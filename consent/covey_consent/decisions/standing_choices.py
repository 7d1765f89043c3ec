"""Standing choices: a cache in front of the table, and the one way by which events change them.

The cache is never older than what has been acknowledged: one process serves one database, every event goes
through `StandingChoices.record`, and its person is dropped here after the COMMIT and before the answer.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from threading import Lock
from typing import Any

from cachetools import LRUCache
from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from covey_consent.decisions import subjects
from covey_consent.decisions.consent_event import CommittedRecord, ConsentEvent, Record
from covey_consent.decisions.unit_of_work import EventStore
from covey_consent.decisions.verdicts import Standing, Standings
from covey_consent.errors import ConsentRegistryError
from covey_consent.storage.batcher import Batcher
from covey_consent.storage.models import Device, StandingChoice, Subject
from covey_consent.storage.store import Store, key_table, rows_as_json
from covey_consent.storage.writer import after_commit

LIMIT = 1_000_000
"""People in the cache; each takes about 300 bytes, for people with equal choices share one `Standings`."""

SHARED = 10_000
"""Different `Standings` that are shared."""

_COLUMNS = (
    StandingChoice.purpose, StandingChoice.state, StandingChoice.notice_version, StandingChoice.expires_at,
)  # fmt: skip
_OF_ALL = select(Subject.subject, *_COLUMNS).outerjoin(
    StandingChoice, StandingChoice.subject == Subject.subject
)
_OF_SUBJECT = _OF_ALL.where(Subject.subject == bindparam("subject"))
_OF_DEVICE = select(Device.subject).where(Device.key == bindparam("key"))

Follow = Callable[[Session, Sequence[Record]], None]
"""Writes more together with new events."""

Count = Callable[[str, str], None]
"""Counts an event by its purpose and state, once it is committed."""


class StandingChoices:
    """The standing choices of the people who were looked up last, without a query.

    Args:
        follow: called with new records, in the transaction that records them.
        count: called for each new record after the commit.
    """

    def __init__(
        self,
        store: Store,
        events: EventStore,
        limit: int = LIMIT,
        *,
        follow: Follow = lambda _session, _records: None,
        count: Count = lambda _purpose, _state: None,
    ) -> None:
        self._store, self.events, self._follow, self._count = store, events, follow, count
        self._lock = Lock()
        self._people: LRUCache[str, Standings] = LRUCache(limit)
        self._devices: LRUCache[bytes, str] = LRUCache(limit)
        self._changes = 0
        """Changes so far: what a query read before one is not cached after it, for it may lack the change."""
        self._missing = Batcher(store.read, self._read_batch)

    async def find(self, subject: str) -> Standings:
        """Return the person's standing choices. Raises UnknownError where there is no such person."""
        with self._lock:
            cached = self._people.get(subject)
        return await self._missing.submit(subject) if cached is None else cached

    async def find_of_device(self, key: bytes) -> Standings:
        """Return the choices of the person for whom a device speaks. Raises UnknownError."""
        with self._lock:
            subject = self._devices.get(key)
            cached = None if subject is None else self._people.get(subject)
        return await self._store.read(self._read_device, key) if cached is None else cached

    async def find_each(self, people: Iterable[str]) -> Mapping[str, Standings]:
        """Return the choices of those of these people who are known."""
        with self._lock:
            cached = {subject: self._people.get(subject) for subject in people}
        missing = [subject for subject, choices in cached.items() if choices is None]
        read = await self._store.read(self._read_each, missing) if missing else {}
        return {subject: choices for subject, choices in (cached | read).items() if choices is not None}

    def record(self, session: Session, events: Sequence[ConsentEvent]) -> list[CommittedRecord]:
        """Record events, all or none; return the new records, with those of grants that end with them.

        Raises ConsentRegistryError where an event cannot follow the standing choice, or is not allowed.
        """
        (outcome,) = self.record_each(session, [events])
        if isinstance(outcome, ConsentRegistryError):
            raise outcome
        return outcome

    def record_each(
        self, session: Session, groups: Sequence[Sequence[ConsentEvent]]
    ) -> list[list[CommittedRecord] | ConsentRegistryError]:
        """Record groups of events as `EventStore.record_each` does."""
        outcomes = self.events.record_each(session, groups)
        recorded = [one for outcome in outcomes if isinstance(outcome, list) for one in outcome]
        records = [one.record for one in recorded]
        self._follow(session, records)
        self.forget(session, {event.subject for group in groups for event in group})
        after_commit(session, partial(self._count_all, records))
        return outcomes

    def forget(self, session: Session, changed: Iterable[str]) -> None:
        """Drop these people from the cache once the session's work is committed."""
        after_commit(session, partial(self._drop, self._people, frozenset(changed)))

    def forget_device(self, session: Session, key: bytes) -> None:
        """Drop the device from the cache once the session's work is committed."""
        after_commit(session, partial(self._drop, self._devices, (key,)))

    def _count_all(self, records: Iterable[Record]) -> None:
        for record in records:
            self._count(record.purpose, record.state)

    def _drop(self, cache: LRUCache[Any, Any], keys: Iterable[Any]) -> None:
        with self._lock:
            self._changes += 1
            for key in keys:
                cache.pop(key, None)

    def _read_device(self, session: Session, key: bytes) -> Standings:
        changes = self._changes
        subject = session.scalar(_OF_DEVICE, {"key": key})
        if subject is None:
            raise subjects.not_enrolled(key)
        choices = fetch(session, subject)
        with self._lock:
            if changes == self._changes:
                self._devices[key], self._people[subject] = subject, choices
        return choices

    def _read_each(self, session: Session, missing: Sequence[str]) -> dict[str, Standings]:
        changes = self._changes
        found = fetch_each(session, missing)
        with self._lock:
            if changes == self._changes:
                self._people.update(found)
        return found

    def _read_batch(
        self, session: Session, missing: Sequence[str]
    ) -> Sequence[Standings | ConsentRegistryError]:
        found = self._read_each(session, missing)
        return [found[subject] if subject in found else subjects.unknown_person() for subject in missing]


def fetch(session: Session, subject: str) -> Standings:
    """Return the person's standing choices from the table. Raises UnknownError for an unknown person."""
    rows = session.execute(_OF_SUBJECT, {"subject": subject}).all()
    if not rows:
        raise subjects.unknown_person()
    return _standings(tuple(row) for _, *row in map(tuple, rows))


def fetch_each(session: Session, people: Iterable[str]) -> dict[str, Standings]:
    """Return the standing choices of those of these people whom the table knows."""
    keys = key_table(session, people)
    rows: dict[str, list[tuple[Any, ...]]] = {}
    for subject, *row in rows_as_json(session, _OF_ALL.join(keys, keys.c.value == Subject.subject)):
        rows.setdefault(subject, []).append(tuple(row))
    return {subject: _standings(some) for subject, some in rows.items()}


def _standings(rows: Iterable[tuple[Any, ...]]) -> Standings:
    return _share(tuple(sorted(row for row in rows if row[0] is not None)))


@functools.lru_cache(SHARED)
def _share(rows: tuple[tuple[Any, ...], ...]) -> Standings:
    return {purpose: Standing(*row) for purpose, *row in rows}
