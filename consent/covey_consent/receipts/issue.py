"""Issuing receipts: an event is found, and its evidence is taken from the log."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from covey_consent.access.roles import Caller, Role
from covey_consent.decisions import subjects
from covey_consent.decisions.unit_of_work import EventStore
from covey_consent.errors import UnknownError
from covey_consent.notices import history
from covey_consent.policy.controller import Controller
from covey_consent.policy.epoch_calendar import Calendar
from covey_consent.receipts import content
from covey_consent.receipts.content import Case
from covey_consent.receipts.evidence import InclusionEvidence, PromiseEvidence
from covey_consent.receipts.schema_27560 import Receipt
from covey_consent.storage.models import Event
from covey_consent.storage.store import Store
from covey_consent.transparency import promises
from covey_consent.transparency.log import Log
from covey_privacy import checkpoint, note
from covey_privacy.inclusion_promise import consent_leaf
from covey_privacy.registry_messages import Notice
from covey_privacy.signatures import SigningKey


@dataclass(frozen=True, slots=True)
class ReceiptIssuer:
    """Issues receipts of one registry's events."""

    store: Store
    log: Log
    key: SigningKey
    events: EventStore
    calendar: Calendar
    controller: Controller

    async def issue(self, event: str, caller: Caller) -> Receipt:
        """Return the event's receipt. Raises UnknownError, also for another person's event."""
        notice, promised = await self.store.read(self._find, event, caller)
        case = Case(notice, await self._inclusion(promised) or promised)
        return content.make_receipt(str(uuid4()), self.calendar.milliseconds, (case,), self.controller)

    def _find(self, session: Session, event: str, caller: Caller) -> tuple[Notice | None, PromiseEvidence]:
        row = session.scalar(select(Event).filter_by(event=event))
        year = self.calendar.year
        if row is None or (
            caller.role is Role.SUBJECT
            and not subjects.answers_for(session, caller.subject, row.subject, year)
        ):
            raise UnknownError(f"there is no event {event} that this token may see")
        record, opening = self.events.open(session, row)
        promise = promises.promise(self.key, record.registry, row.commitment, self.calendar, row.received_at)
        evidence = PromiseEvidence(record=record, salt=opening.salt.hex(), promise=promise.hex())
        return _notice(session, row), evidence

    async def _inclusion(self, promised: PromiseEvidence) -> InclusionEvidence | None:
        """Return the record's place in the log; None while it is only promised."""
        shown = self.log.note
        size = checkpoint.head(note.parse(shown)).size
        try:
            place = await self.log.inclusion(consent_leaf(promised.commitment), size)
        except UnknownError:
            return None
        return InclusionEvidence(
            record=promised.record,
            salt=promised.salt,
            index=place.index,
            size=size,
            proof=tuple(one.hex() for one in place.proof),
            checkpoint=shown,
        )


def _notice(session: Session, event: Event) -> Notice | None:
    """Return the notice that an event is about; the newest where it names none, and None where none is."""
    editions = [history.read_notice(row) for row in history.read_versions(session, event.purpose)]
    named = [edition for edition in editions if event.notice in (edition.semver, str(edition.version))]
    found = named or editions
    return found[-1] if found else None
