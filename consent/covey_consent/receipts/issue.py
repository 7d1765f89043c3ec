"""Giving out receipts: an event is found, its evidence is taken from the log, and the whole is signed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from covey_consent.access.roles import Caller, Role
from covey_consent.acts import EVERYTHING
from covey_consent.controller import Controller
from covey_consent.errors import UnknownError
from covey_consent.events import Events
from covey_consent.log import Log
from covey_consent.models import Event
from covey_consent.notices import history
from covey_consent.receipts import content, signing
from covey_consent.receipts.content import Case
from covey_consent.receipts.evidence import LEAF_CONSENT, Promised, Published
from covey_consent.receipts.shape import Receipt
from covey_consent.records import Record, commit
from covey_consent.store import Store
from covey_privacy import checkpoint, note
from covey_privacy.consent import Notice
from covey_privacy.merkle import leaf_hash
from covey_privacy.signatures import SigningKey


@dataclass(frozen=True, slots=True)
class Found:
    """An event as the registry keeps it: `version` is the semantic one of `notice`, `promise` a `Signed`."""

    record: Record
    salt: bytes
    notice: Notice
    version: str
    promise: bytes


Find = Callable[[Session, str], Found]
"""`find(session, event)`: the event of this UUID. Raises UnknownError."""


def unknown(event: str) -> UnknownError:
    """Return the error for an event that is not there, or not the caller's to see."""
    return UnknownError(f"there is no event {event} that this token may see")


class Finder:
    """Finds events as the registry keeps them."""

    def __init__(self, events: Events) -> None:
        self._events = events

    def __call__(self, session: Session, event: str) -> Found:
        """Return the event of this UUID. Raises UnknownError, also for a restriction, which has no notice."""
        row = session.scalar(select(Event).filter_by(event=event))
        if row is None or row.purpose == EVERYTHING:
            raise unknown(event)
        record, opening = self._events.open(session, row)
        notice = _notice(session, row)
        return Found(record, opening.salt, notice, notice.semver, b"")


def _notice(session: Session, event: Event) -> Notice:
    """Return the notice that an event is about; the newest where it names none."""
    editions = [history.notice(row) for row in history.versions(session, event.purpose)]
    named = [edition for edition in editions if event.notice in (edition.semver, str(edition.version))]
    if not editions:
        raise unknown(event.event)
    return (named or editions)[-1]


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

    async def case(self, event: str, caller: Caller) -> Case:
        """Return the event with its evidence. Raises UnknownError, also for another person's event."""
        found = await self._store.read(self._find, event)
        if caller.role is Role.SUBJECT and caller.subject != found.record.subject:
            raise unknown(event)
        return Case(found.notice, found.version, self._evidence(found))

    def receipt(self, identifier: str, created: int, case: Case) -> Receipt:
        """Return the receipt over the case; `identifier` is a UUID, `created` Unix milliseconds."""
        return content.receipt(identifier, created, (case,), self.controller)

    def sign(self, receipt: Receipt) -> bytes:
        """Return the receipt signed."""
        return signing.sign(receipt, self._key)

    def _evidence(self, found: Found) -> Published | Promised:
        leaf = leaf_hash(LEAF_CONSENT + commit(found.salt, found.record))
        shown = self._log.note
        size = checkpoint.head(note.parse(shown)).size
        try:
            place = self._log.inclusion(leaf, size)
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
