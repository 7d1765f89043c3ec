"""Rectification (GDPR Art. 16, PIPL Art. 46): what is kept of a person is put right, what it was is noted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
from covey_consent.policy.transfers import CONSENT
from covey_consent.recipients.outbox import Event, Outbox
from covey_consent.rights.tables import AttributeChange, RightsRequest
from covey_consent.storage.models import Event as RecordedEvent
from covey_consent.storage.models import StandingChoice, Subject
from covey_consent.tickets.epoch_calendar import Calendar
from covey_privacy.registry_messages import GRANTED, WITHDRAWN

ATTRIBUTES = ("country", "birth_year", "guardian")


@dataclass(frozen=True, slots=True)
class Rectification:
    """Puts people's attributes right."""

    calendar: Calendar
    outbox: Outbox
    choices: StandingChoices

    def fulfil(self, session: Session, request: RightsRequest, caller: Caller, _answer: str) -> str:
        """Make the changes that the person asked for; return what is noted."""
        changes = orjson.loads(request.changes or "{}")
        self.rectify(session, request.subject, changes, caller, f"request {request.id}")
        return f"changed: {', '.join(sorted(changes))}"

    def rectify(
        self, session: Session, subject: str, changes: Mapping[str, Any], caller: Caller, reason: str
    ) -> Subject:
        """Make the changes, keep what was there, tell recipients."""
        person = subjects.find(session, subject)
        _check(session, person, changes, self.calendar.year)
        for attribute, after in changes.items():
            self._change(session, person, attribute, after, caller, reason)
        session.flush()
        self._protect(session, person)
        self.outbox.tell(session, subject, Event.RECTIFIED)
        self.choices.forget(session, {subject})
        return person

    def _change(
        self, session: Session, person: Subject, attribute: str, after: Any, caller: Caller, reason: str
    ) -> None:
        before = getattr(person, attribute)
        setattr(person, attribute, after)
        session.add(
            AttributeChange(
                subject=person.subject, attribute=attribute, before=_text(before), after=_text(after),
                role=caller.role, name=caller.name, reason=reason, at=self.calendar.now,
            )
        )  # fmt: skip

    def _protect(self, session: Session, person: Subject) -> None:
        """Withdraw what a person consented to alone who turns out to be a child, and what takes data out of
        the country that they turn out to be in."""
        if ages.is_child(person.birth_year, person.country, self.calendar.year):
            self._withdraw(session, _alone(session, person.subject), "rectified to a child")
        granted = _granted(session, person.subject)
        transfers = self.choices.events.transfers
        if not any(
            one.purpose == CONSENT and transfers.agreed(one.state, one.notice_version) for one in granted
        ):
            abroad = transfers.destinations(person.country)
            stranded = [choice for choice in granted if choice.purpose in abroad]
            self._withdraw(session, stranded, "rectified to another country")

    def _withdraw(self, session: Session, choices: Iterable[StandingChoice], why: str) -> None:
        self.choices.record(session, [self._withdrawal(choice, why) for choice in choices])

    def _withdrawal(self, choice: StandingChoice, why: str) -> ConsentEvent:
        now = self.calendar.milliseconds
        return ConsentEvent(
            choice.subject,
            choice.purpose,
            WITHDRAWN,
            consent_event.SYSTEM,
            why,
            now,
            version=choice.notice_version,
        )


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


def _alone(session: Session, subject: str) -> list[StandingChoice]:
    """Return the standing grants that no guardian gave."""
    granted = _granted(session, subject)
    return [choice for choice in granted if _asks(choice) and not _by_guardian(session, choice)]


def _granted(session: Session, subject: str) -> Sequence[StandingChoice]:
    return session.scalars(select(StandingChoice).filter_by(subject=subject, state=GRANTED)).all()


def _asks(choice: StandingChoice) -> bool:
    return purposes.find(choice.purpose).needs_consent


def _by_guardian(session: Session, choice: StandingChoice) -> bool:
    said = (
        select(RecordedEvent.actor)
        .filter_by(subject=choice.subject, purpose=choice.purpose, counts_at=choice.at)
        .where(RecordedEvent.state.in_(YES))
        .order_by(RecordedEvent.id.desc())
    )
    return session.scalars(said).first() == consent_event.GUARDIAN


def _text(value: Any) -> str:
    return "" if value is None else str(value)
