"""Rectification (GDPR Art. 16, PIPL Art. 46): attributes of a person are put right, their old values kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from covey_consent.access.roles import Caller
from covey_consent.decisions import consent_event, subjects
from covey_consent.decisions.consent_event import ConsentEvent
from covey_consent.decisions.standing_choices import StandingChoices
from covey_consent.decisions.unit_of_work import YES
from covey_consent.errors import RequestError
from covey_consent.policy import ages, purposes
from covey_consent.policy.epoch_calendar import Calendar
from covey_consent.policy.transfers import CONSENT
from covey_consent.recipients.outbox import NotificationKind, Outbox
from covey_consent.rights.tables import AttributeChange, RightsRequest
from covey_consent.storage.models import Event, StandingChoice, Subject
from covey_privacy.registry_messages import GRANTED, WITHDRAWN

ATTRIBUTES = ("country", "birth_year", "guardian")


@dataclass(frozen=True, slots=True)
class Rectification:
    """Puts people's attributes right."""

    calendar: Calendar
    outbox: Outbox
    choices: StandingChoices

    def fulfil(self, session: Session, request: RightsRequest, caller: Caller) -> str:
        """Make the changes that the person asked for; return the reason that the step records."""
        changes = orjson.loads(request.changes or "{}")
        self.rectify(session, request.subject, changes, caller, f"request {request.id}")
        return f"changed: {', '.join(sorted(changes))}"

    def rectify(
        self, session: Session, subject: str, changes: Mapping[str, Any], caller: Caller, reason: str
    ) -> Subject:
        """Make the changes, keep the old values, notify recipients."""
        person = subjects.find(session, subject)
        _check(session, person, changes, self.calendar.year)
        for attribute, after in changes.items():
            before = getattr(person, attribute)
            setattr(person, attribute, after)
            session.add(
                AttributeChange(
                    subject=subject, attribute=attribute, before="" if before is None else str(before),
                    after="" if after is None else str(after), role=caller.role, name=caller.name,
                    reason=reason, at=self.calendar.now,
                )
            )  # fmt: skip
        session.flush()
        self._withdraw_invalid_grants(session, person)
        self.outbox.notify(session, subject, NotificationKind.RECTIFIED)
        self.choices.forget(session, {subject})
        return person

    def _withdraw_invalid_grants(self, session: Session, person: Subject) -> None:
        """Withdraw what a child granted without a guardian, and what takes data out of the new country."""
        if ages.is_child(person.birth_year, person.country, self.calendar.year):
            alone = [choice for choice in _granted(session, person) if _is_own_consent(session, choice)]
            self._withdraw(session, alone, "rectified to a child")
        granted = _granted(session, person)
        transfers = self.choices.events.transfers
        if not any(
            one.purpose == CONSENT and transfers.agreed(one.state, one.notice_version) for one in granted
        ):
            abroad = transfers.destinations(person.country)
            stranded = [choice for choice in granted if choice.purpose in abroad]
            self._withdraw(session, stranded, "rectified to another country")

    def _withdraw(self, session: Session, choices: Sequence[StandingChoice], method: str) -> None:
        now = self.calendar.milliseconds
        acts = [
            ConsentEvent(
                choice.subject, choice.purpose, WITHDRAWN, consent_event.SYSTEM, method, now,
                version=choice.notice_version,
            )
            for choice in choices
        ]  # fmt: skip
        self.choices.record(session, acts)


def _check(session: Session, person: Subject, changes: Mapping[str, Any], year: int) -> None:
    if not changes:
        raise RequestError(f"nothing is to be changed; name at least one of {', '.join(ATTRIBUTES)}")
    guardian = changes.get("guardian")
    if guardian == person.subject:
        raise RequestError("nobody is their own guardian")
    if guardian is not None:
        country = changes.get("country", person.country)
        birth_year = changes.get("birth_year", person.birth_year)
        subjects.require_guardian(subjects.find(session, guardian), country, birth_year, year)


def _granted(session: Session, person: Subject) -> Sequence[StandingChoice]:
    return session.scalars(select(StandingChoice).filter_by(subject=person.subject, state=GRANTED)).all()


def _is_own_consent(session: Session, choice: StandingChoice) -> bool:
    """Say whether a grant needs consent, and no guardian gave it."""
    if not purposes.find(choice.purpose).needs_consent:
        return False
    actors = (
        select(Event.actor)
        .filter_by(subject=choice.subject, purpose=choice.purpose, counts_at=choice.at)
        .where(Event.state.in_(YES))
        .order_by(Event.id.desc())
    )
    return session.scalars(actors).first() != consent_event.GUARDIAN
