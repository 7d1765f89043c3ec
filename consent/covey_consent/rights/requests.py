"""Requests of data subjects: they come in, take their steps, and keep each one as a row."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import ColumnElement, func, select, tuple_
from sqlalchemy.orm import Session

from covey_consent.access.roles import Caller, Role, same_person
from covey_consent.decisions import states as choice_states
from covey_consent.decisions import subjects
from covey_consent.decisions.consent_event import EVERYTHING
from covey_consent.errors import ConflictError, DeniedError, RequestError, UnknownError
from covey_consent.policy.epoch_calendar import Calendar
from covey_consent.policy.periods import Period, period_for
from covey_consent.rights.effects import Effects, standing_restrictions
from covey_consent.rights.export import Exporter
from covey_consent.rights.states import OPEN, RequestAction, RequestKind, RequestState, advance
from covey_consent.rights.tables import RightsRequest, RightsStep
from covey_consent.storage.models import Event, StandingChoice

AT_ONCE = (RequestKind.ACCESS, RequestKind.PORTABILITY, RequestKind.RESTRICTION, RequestKind.OBJECTION)
"""Requests that are fulfilled at once, without an officer, for a person known by their own token."""

ABSOLUTE = ("marketing",)
"""Purposes to which an objection is absolute: GDPR Art. 21(2) and (3)."""

OWN = (RequestAction.CANCEL, RequestAction.LIFT)
"""Steps that a person takes themselves."""


@dataclass(frozen=True, slots=True)
class RequestDetails:
    """The content of a new request: `purpose` for an objection, `changes` (canonical JSON) to rectify."""

    subject: str
    kind: RequestKind
    words: str = ""
    purpose: str | None = None
    changes: str | None = None


class RequestStep(NamedTuple):
    """A step to be taken: `method` is how identity was checked, `reason` also a review's answer."""

    action: RequestAction
    method: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Rights:
    """Receives requests and takes their steps.

    `periods` are those of the law (see `period_for`), `extension` is added to one at most once, `effects`
    applies fulfilled requests, `exporter` makes the export of a person who asked for access.
    """

    calendar: Calendar
    periods: Mapping[str, str]
    extension: Period
    effects: Effects
    exporter: Exporter

    def receive(
        self, session: Session, details: RequestDetails, caller: Caller, country: str | None
    ) -> RightsRequest:
        """Keep a new request. A person's own counts as identified; what needs no officer is done at once."""
        now = self.calendar.now
        request = RightsRequest(
            id=uuid.uuid4().hex, subject=details.subject, kind=details.kind, purpose=details.purpose,
            words=details.words, changes=details.changes, state=RequestState.RECEIVED, received_at=now,
            due_at=period_for(self.periods, country, details.kind).after(now), extended=False, version=0,
            entered_role=caller.role, entered_by=caller.name,
        )  # fmt: skip
        session.add(request)
        session.flush()
        if caller.role is Role.SUBJECT:
            self._step(session, request, RequestStep(RequestAction.VERIFY, "own access token"), caller)
            if request.kind in AT_ONCE:
                self._step(session, request, RequestStep(RequestAction.START), caller)
                self._step(session, request, RequestStep(RequestAction.FULFIL), caller)
        return request

    def take_step(self, session: Session, id_: str, step: RequestStep, caller: Caller) -> RightsRequest:
        """Take a step. Raises ConflictError where it may not follow, DeniedError where it is not theirs."""
        request = find_request(session, id_, caller, self.calendar.year)
        _check(request, step, caller)
        self._step(session, request, step, caller)
        return request

    def restrict(self, session: Session, subject: str, caller: Caller) -> Event:
        """Restrict all processing of the person's data, unless it is restricted; return the event."""
        if not standing_restrictions(session, subject):
            self._restrict(session, subject, caller)
        return _newest_restriction_event(session, subject)

    def lift(self, session: Session, subject: str, caller: Caller, told: str) -> Event:
        """Lift every restriction of the person; `told` is how an officer told them before.

        Raises ConflictError where there is none, RequestError for an officer where `told` is empty.
        """
        _require_told(caller, told)
        choice = session.get(StandingChoice, (subject, EVERYTHING))
        if choice is None or choice.state != choice_states.RESTRICTED:
            raise ConflictError("nothing of the person is restricted, so there is nothing to lift")
        # A restriction that came with an import has no request here yet, and the statement needs one.
        requests = standing_restrictions(session, subject) or [self._restrict(session, subject, caller)]
        for request in requests:
            self.take_step(session, request.id, RequestStep(RequestAction.LIFT, reason=told), caller)
        return _newest_restriction_event(session, subject)

    def count_overdue(self, session: Session) -> int:
        """Count the requests whose answer is late, for the metrics."""
        return session.scalar(select(func.count()).where(*self._late())) or 0

    def page(
        self, session: Session, caller: Caller, after: tuple[int, str] | None, limit: int, *,
        overdue: bool, due_within: int | None,
    ) -> Sequence[RightsRequest]:  # fmt: skip
        """Return requests by time of receipt: a person's own, or everyone's.

        Args:
            after: time and id of the request before the page.
            overdue: only late ones; with `due_within` these too.
            due_within: only open ones whose answer is due within so many days.
        """
        query = select(RightsRequest).order_by(RightsRequest.received_at, RightsRequest.id).limit(limit)
        if after is not None:
            query = query.where(tuple_(RightsRequest.received_at, RightsRequest.id) > after)
        if caller.role is Role.SUBJECT:
            query = query.where(_theirs(session, caller, self.calendar.year))
        if due_within is not None:
            end = self.calendar.now + due_within * 86400
            query = query.where(RightsRequest.state.in_(OPEN), RightsRequest.due_at <= end)
            if not overdue:
                query = query.where(RightsRequest.due_at >= self.calendar.now)
        elif overdue:
            query = query.where(*self._late())
        return session.scalars(query).all()

    def _late(self) -> tuple[ColumnElement[bool], ...]:
        return RightsRequest.state.in_(OPEN), RightsRequest.due_at < self.calendar.now

    def _restrict(self, session: Session, subject: str, caller: Caller) -> RightsRequest:
        request = self.receive(session, RequestDetails(subject, RequestKind.RESTRICTION), caller, None)
        if request.state == RequestState.RECEIVED:
            for action in (RequestAction.VERIFY, RequestAction.START, RequestAction.FULFIL):
                step = RequestStep(action, "put by the officer")
                self.take_step(session, request.id, step, caller)
        return request

    def _step(self, session: Session, request: RightsRequest, step: RequestStep, caller: Caller) -> None:
        advance(request, step.action, self.calendar.now, self.extension)
        note: str | None = step.reason
        if step.action in (RequestAction.FULFIL, RequestAction.LIFT):
            note = self.effects.apply(session, request, step.action, caller, step.reason)
        request.version += 1
        if note is None:
            return
        session.add(
            RightsStep(
                request=request.id, number=request.version, subject=request.subject,
                step=step.action, state=request.state, role=caller.role, name=caller.name,
                method=step.method, reason=note, at=self.calendar.now,
            )
        )  # fmt: skip
        session.flush()


def find_request(session: Session, id_: str, caller: Caller, year: int) -> RightsRequest:
    """Return the request. Raises UnknownError; to a person, also where it is neither theirs nor a ward's."""
    query = select(RightsRequest).where(RightsRequest.id == id_)
    if caller.role is Role.SUBJECT:
        query = query.where(_theirs(session, caller, year))
    request = session.scalar(query)
    if request is None:
        raise UnknownError("there is no such request; if it asked for erasure, see /v1/erasures/<its id>")
    return request


def steps_of(session: Session, id_: str) -> Sequence[RightsStep]:
    """Return the request's steps, oldest first."""
    query = select(RightsStep).where(RightsStep.request == id_).order_by(RightsStep.number)
    return session.scalars(query).all()


def _theirs(session: Session, caller: Caller, year: int) -> ColumnElement[bool]:
    # A token that names nobody must not match those who have no guardian.
    own = caller.subject or ""
    return RightsRequest.subject.in_({own, *subjects.wards(session, own, year)})


def _newest_restriction_event(session: Session, subject: str) -> Event:
    query = select(Event).filter_by(subject=subject, purpose=EVERYTHING).order_by(Event.id.desc()).limit(1)
    return session.scalars(query).one()


def _require_told(caller: Caller, told: str) -> None:
    if caller.role is not Role.SUBJECT and not told:
        raise RequestError("say how the person was told before that the restriction ends: GDPR Art. 18(3)")


def _check(request: RightsRequest, step: RequestStep, caller: Caller) -> None:
    """Raise where the caller may not take the step, or owes its method or reason."""
    (action, method, reason), own = step, caller.role is Role.SUBJECT
    if own and action not in OWN:
        raise DeniedError(f"a person may {' or '.join(OWN)}; to {action} is an officer's step")
    if action is RequestAction.VERIFY and not method:
        raise RequestError("to verify an identity, say by which method it was checked")
    # One officer alone must not be able to erase anybody.
    entered_by_caller = same_person(request.entered_by, caller.name)
    if action is RequestAction.VERIFY and request.kind == RequestKind.ERASURE and entered_by_caller:
        raise DeniedError(
            f"{caller.name!r} entered this request for {request.kind}; another officer has to verify who asks"
        )
    if action is RequestAction.LIFT:
        _require_told(caller, reason)
    # GDPR Art. 12(3) and (4), PIPL Art. 50.
    if action in (RequestAction.EXTEND, RequestAction.REFUSE) and not reason:
        raise RequestError(f"to {action} a request, give the reason: the person is told it")
    if action is RequestAction.CANCEL and not own and not reason:
        raise RequestError("only the person cancels a request; say in the reason how they told you")
    denies = action is RequestAction.REFUSE or (action is RequestAction.CANCEL and not own)
    if denies and request.kind == RequestKind.OBJECTION and request.purpose in ABSOLUTE:
        raise ConflictError(
            f"an objection to {request.purpose} is absolute: nobody can refuse it, and nobody but the person "
            "take it back"
        )
