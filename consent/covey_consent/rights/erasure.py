"""Erasure (GDPR Art. 17, PIPL Art. 47): in one write, everything of a person is gone, or nothing is."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from covey_consent.access.roles import Caller, Role
from covey_consent.decisions import subjects
from covey_consent.decisions.standing_choices import StandingChoices
from covey_consent.recipients.outbox import Event, Outbox
from covey_consent.rights import personal_data_rows
from covey_consent.rights.certificate import Certifier
from covey_consent.rights.states import Step
from covey_consent.rights.tables import ErasureStep, RightsRequest, RightsStep, Tombstone
from covey_consent.storage.models import HOUR

ENTERED = "enter"
"""The first step of an erasure's trail: the request came in."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """Erases people."""

    certifier: Certifier
    outbox: Outbox
    choices: StandingChoices

    def fulfil(self, session: Session, request: RightsRequest, caller: Caller, answer: str) -> None:
        """Erase the person with the request itself; leave its certificate, and who did what about it."""
        id_, subject = request.id, request.subject
        subjects.find(session, subject)
        recipients = self.outbox.tell(session, subject, Event.ERASED)
        session.add_all(_trail(session, request, caller, answer, self.certifier.calendar.now))
        # No object of theirs may be written back once the rows are gone.
        session.flush()
        session.expunge_all()
        erased = personal_data_rows.erase(session, [subject], id_)
        certificate = self.certifier.certify(id_, erased, recipients)
        hour = self.certifier.calendar.now // HOUR
        session.add(Tombstone(id=id_, hour=hour, certificate=certificate, purged=False))
        session.flush()
        self.choices.forget(session, {subject})


def _trail(
    session: Session, request: RightsRequest, caller: Caller, answer: str, now: int
) -> list[ErasureStep]:
    """Return who brought the request and who took which step; of the person themselves only that they did."""
    query = select(RightsStep).filter_by(request=request.id).order_by(RightsStep.number)
    taken = [(ENTERED, request.entered_role, request.entered_by, "", "", request.received_at)]
    taken += [
        (one.step, one.role, one.name, one.method, one.reason, one.at) for one in session.scalars(query)
    ]
    taken.append((Step.FULFIL, caller.role, caller.name, "", answer, now))
    return [
        ErasureStep(
            erasure=request.id, number=number, step=step, role=role, at=at,
            name="" if role == Role.SUBJECT else name,
            method=method, reason="" if role == Role.SUBJECT else reason,
        )
        for number, (step, role, name, method, reason, at) in enumerate(taken)
    ]  # fmt: skip
