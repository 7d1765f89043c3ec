"""Giving out receipts: an event is found, its evidence is taken from the log, and the whole is signed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from covey_consent.access.roles import Caller, Role
from covey_consent.decisions import subjects
from covey_consent.decisions.consent_event import Record, commit
from covey_consent.decisions.unit_of_work import EventStore
from covey_consent.errors import UnknownError
from covey_consent.notices import history
from covey_consent.policy.controller import Controller
from covey_consent.receipts import content, signing
from covey_consent.receipts.content import Case
from covey_consent.receipts.evidence import Promised, Published
from covey_consent.receipts.schema_27560 import Receipt
from covey_consent.storage.models import Event
from covey_consent.storage.store import Store
from covey_consent.tickets.epoch_calendar import Calendar
from covey_consent.transparency import promises
from covey_consent.transparency.log import Log
from covey_privacy import checkpoint, note
from covey_privacy.inclusion_promise import consent_leaf
from covey_privacy.registry_messages import Notice
from covey_privacy.signatures import SigningKey


@dataclass(frozen=True, slots=True)
class Found:
    """An event as the registry keeps it, `promise` a `Signed`; its notice, where the registry has one."""

    record: Record
    salt: bytes
    notice: Notice | None
    promise: bytes


Find = Callable[[Session, str], Found]
"""`find(session, event)`: the event of this UUID. Raises UnknownError."""


def unknown(event: str) -> UnknownError:
    """Return the error for an event that is not there, or not the caller's to see."""
    return UnknownError(f"there is no event {event} that this token may see")


class Finder:
    """Finds events as the registry keeps them."""

    def __init__(self, events: EventStore, key: SigningKey, calendar: Calendar) -> None:
        self._events, self._key, self._calendar = events, key, calendar

    def __call__(self, session: Session, event: str) -> Found:
        """Return the event of this UUID. Raises UnknownError."""
        row = session.scalar(select(Event).filter_by(event=event))
        if row is None:
            raise unknown(event)
        record, opening = self._events.open(session, row)
        promise = promises.promise(
            self._key, record.registry, row.commitment, self._calendar, row.received_at
        )
        return Found(record, opening.salt, _notice(session, row), promise)


def _notice(session: Session, event: Event) -> Notice | None:
    """Return the notice that an event is about; the newest where it names none, and None where none is."""
    editions = [history.notice(row) for row in history.versions(session, event.purpose)]
    named = [edition for edition in editions if event.notice in (edition.semver, str(edition.version))]
    found = named or editions
    return found[-1] if found else None


class Receipts:
    """Receipts of one registry's events."""

    def __init__(self, store: Store, log: Log, key: SigningKey, controller: Controller, find: Find) -> None:
        self._store, self._log, self._key = store, log, key
        self._find = find
        self.controller = controller

    @property
    def public(self) -> bytes:
        """The key that receipts are signed with."""
        return self._key.public

    async def case(self, event: str, caller: Caller, year: int) -> Case:
        """Return the event with its evidence. Raises UnknownError, also for another person's event."""
        found = await self._store.read(self._find_for, event, caller, year)
        return Case(found.notice, await self._evidence(found))

    def receipt(self, identifier: str, created: int, case: Case) -> Receipt:
        """Return the receipt over the case; `identifier` is a UUID, `created` Unix milliseconds."""
        return content.receipt(identifier, created, (case,), self.controller)

    def sign(self, receipt: Receipt) -> bytes:
        """Return the receipt signed."""
        return signing.sign(receipt, self._key)

    def _find_for(self, session: Session, event: str, caller: Caller, year: int) -> Found:
        found = self._find(session, event)
        asking, subject = caller.subject, found.record.subject
        if caller.role is Role.SUBJECT and not subjects.answers_for(session, asking, subject, year):
            raise unknown(event)
        return found

    async def _evidence(self, found: Found) -> Published | Promised:
        leaf = consent_leaf(commit(found.salt, found.record))
        shown = self._log.note
        size = checkpoint.head(note.parse(shown)).size
        try:
            place = await self._log.inclusion(leaf, size)
        except UnknownError:
            return Promised(record=found.record, salt=found.salt.hex(), promise=found.promise.hex())
        return Published(
            record=found.record,
            salt=found.salt.hex(),
            index=place.index,
            size=size,
            proof=tuple(one.hex() for one in place.proof),
            checkpoint=shown,
        )
