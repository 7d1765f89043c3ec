"""The choices at hand: what people chose, in memory in front of the table.

Never older than what has been acknowledged: one process serves one database, every event goes through
`Choices.record`, and its person is forgotten here after the COMMIT and before the answer.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from threading import Lock
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from covey_consent.decisions import subjects
from covey_consent.decisions.consent_event import Act
from covey_consent.decisions.events import Events, Recorded
from covey_consent.decisions.records import Record
from covey_consent.decisions.verdicts import Standing, Standings
from covey_consent.errors import ConsentRegistryError
from covey_consent.storage.batcher import Pool
from covey_consent.storage.models import Device, StandingChoice, Subject
from covey_consent.storage.recent import Recent
from covey_consent.storage.store import Store, gathered, listed
from covey_consent.storage.writer import after_commit

LIMIT = 1_000_000
"""People kept at hand; each takes about 300 bytes, for many chose the same and share what stands."""

SHARED = 10_000
"""Different ways of having chosen that are shared."""

_COLUMNS = (
    StandingChoice.purpose, StandingChoice.state, StandingChoice.notice_version, StandingChoice.expires_at,
)  # fmt: skip
_OF_ALL = select(Subject.subject, *_COLUMNS).outerjoin(
    StandingChoice, StandingChoice.subject == Subject.subject
)
_OF_SUBJECT = _OF_ALL.where(Subject.subject == bindparam("subject"))
_OF_DEVICE = select(Device.subject).where(Device.key == bindparam("key"))


Follow = Callable[[Session, Sequence[Record]], None]
"""What is written together with new events."""


Count = Callable[[str, str], None]
"""Counts an event by its purpose and state, once it is committed."""


def _nobody_follows(_session: Session, _records: Sequence[Record]) -> None:
    pass


def _nobody_counts(_purpose: str, _state: str) -> None:
    pass


class Choices:
    """The standing choices, of the people asked for last without the table."""

    def __init__(
        self,
        store: Store,
        events: Events,
        limit: int = LIMIT,
        *,
        follow: Follow = _nobody_follows,
        count: Count = _nobody_counts,
    ) -> None:
        self._store, self.events, self._follow, self._count = store, events, follow, count
        self._lock = Lock()
        self._held: Recent[str, Standings] = Recent(limit)
        self._devices: Recent[bytes, str] = Recent(limit)
        self._forgotten = 0
        self._missing = Pool(store.read, self._fetch_all)

    async def of(self, subject: str) -> Standings:
        """Return the person's standing choices. Raises UnknownError where there is no such person."""
        with self._lock:
            held = self._held.find(subject)
        return await self._missing.submit(subject) if held is None else held

    async def of_device(self, key: bytes) -> Standings:
        """Return the choices of the person for whom a device speaks. Raises UnknownError."""
        with self._lock:
            subject = self._devices.find(key)
            held = None if subject is None else self._held.find(subject)
        return await self._store.read(self._fetch_device, key) if held is None else held

    async def of_each(self, people: Iterable[str]) -> Mapping[str, Standings]:
        """Return the choices of those of these people who are known."""
        with self._lock:
            held = {subject: self._held.find(subject) for subject in people}
        missing = [subject for subject, choices in held.items() if choices is None]
        read = await self._store.read(self._fetch_each, missing) if missing else {}
        return {subject: choices for subject, choices in (held | read).items() if choices is not None}

    def record(self, session: Session, acts: Sequence[Act]) -> list[Recorded]:
        """Record events as `Events.record` does."""
        recorded = self.events.record(session, acts)
        self._recorded(session, [one.record for one in recorded], acts)
        return recorded

    def record_each(
        self, session: Session, groups: Sequence[Sequence[Act]]
    ) -> list[list[Recorded] | ConsentRegistryError]:
        """Record groups of events as `Events.record_each` does."""
        outcomes = self.events.record_each(session, groups)
        done = (recorded for recorded in outcomes if isinstance(recorded, list))
        records = [one.record for recorded in done for one in recorded]
        self._recorded(session, records, [act for group in groups for act in group])
        return outcomes

    def forget(self, session: Session, changed: Iterable[str]) -> None:
        """Look these people up anew once the session's work is committed."""
        after_commit(session, partial(self._forget, frozenset(changed)))

    def forget_device(self, session: Session, key: bytes) -> None:
        """Look up anew for whom a device speaks once the session's work is committed."""
        after_commit(session, partial(self._forget_device, key))

    def _recorded(self, session: Session, records: Sequence[Record], acts: Iterable[Act]) -> None:
        self._follow(session, records)
        self.forget(session, {act.subject for act in acts})
        after_commit(session, partial(self._count_all, records))

    def _count_all(self, records: Iterable[Record]) -> None:
        for record in records:
            self._count(record.purpose, record.state)

    def _fetch_device(self, session: Session, key: bytes) -> Standings:
        forgotten = self._forgotten
        subject = session.scalar(_OF_DEVICE, {"key": key})
        if subject is None:
            raise subjects.not_enrolled(key)
        with self._lock:
            if forgotten == self._forgotten:
                self._devices.keep(key, subject)
        return self._keep(subject, fetch(session, subject), forgotten)

    def _fetch_each(self, session: Session, missing: Sequence[str]) -> dict[str, Standings]:
        forgotten = self._forgotten
        found = fetch_each(session, missing)
        with self._lock:
            if forgotten == self._forgotten:
                for subject, choices in found.items():
                    self._held.keep(subject, choices)
        return found

    def _fetch_all(
        self, session: Session, missing: Sequence[str]
    ) -> Sequence[Standings | ConsentRegistryError]:
        found = self._fetch_each(session, missing)
        return [found[subject] if subject in found else subjects.unknown() for subject in missing]

    def _keep(self, subject: str, choices: Standings, forgotten: int) -> Standings:
        with self._lock:
            # An event that was committed meanwhile may be this person's, and missing from what was read.
            if forgotten == self._forgotten:
                self._held.keep(subject, choices)
        return choices

    def _forget_device(self, key: bytes) -> None:
        with self._lock:
            self._forgotten += 1
            self._devices.forget(key)

    def _forget(self, changed: frozenset[str]) -> None:
        with self._lock:
            self._forgotten += 1
            for subject in changed:
                self._held.forget(subject)


def fetch(session: Session, subject: str) -> Standings:
    """Return the person's standing choices from the table. Raises UnknownError where nobody is."""
    rows = session.execute(_OF_SUBJECT, {"subject": subject}).all()
    if not rows:
        raise subjects.unknown()
    return _standings(tuple(row) for _, *row in map(tuple, rows))


def fetch_each(session: Session, people: Iterable[str]) -> dict[str, Standings]:
    """Return the standing choices of those of these people whom the table knows."""
    asked = listed(session, people)
    rows: dict[str, list[tuple[Any, ...]]] = {}
    for subject, *row in gathered(session, _OF_ALL.join(asked, asked.c.value == Subject.subject)):
        rows.setdefault(subject, []).append(tuple(row))
    return {subject: _standings(some) for subject, some in rows.items()}


def _standings(rows: Iterable[tuple[Any, ...]]) -> Standings:
    return _share(tuple(sorted(row for row in rows if row[0] is not None)))


@functools.lru_cache(SHARED)
def _share(rows: tuple[tuple[Any, ...], ...]) -> Standings:
    return {purpose: Standing(*row) for purpose, *row in rows}
