"""Erasure (GDPR Art. 17, PIPL Art. 47): in one write, everything of a person is gone, or nothing is."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from covey_consent import subjects
from covey_consent.access.roles import Caller
from covey_consent.choices import Choices
from covey_consent.models import HOUR
from covey_consent.recipients.outbox import Event, Outbox
from covey_consent.rights import footprint
from covey_consent.rights.certificate import Certifier
from covey_consent.rights.tables import RightsRequest, Tombstone


@dataclass(frozen=True, slots=True)
class Erasure:
    """Erases people."""

    certifier: Certifier
    outbox: Outbox
    choices: Choices

    def fulfil(self, session: Session, request: RightsRequest, _caller: Caller, _answer: str) -> None:
        """Erase the person with the request itself, and leave its certificate."""
        id_, subject = request.id, request.subject
        subjects.find(session, subject)
        recipients = self.outbox.tell(session, subject, Event.ERASED)
        # No object of theirs may be written back once the rows are gone.
        session.flush()
        session.expunge_all()
        erased = footprint.erase(session, [subject])
        certificate = self.certifier.certify(id_, erased, recipients)
        hour = self.certifier.calendar.now // HOUR
        session.add(Tombstone(id=id_, hour=hour, certificate=certificate, purged=False))
        session.flush()
        self.choices.forget(session, {subject})
