"""The desk: requests come in, take their steps, and keep each one as a row."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select, tuple_
from sqlalchemy.orm import Session

from covey_consent.access.roles import Caller, Role, same_person
from covey_consent.decisions import subjects
from covey_consent.errors import ConflictError, DeniedError, RequestError, UnknownError
from covey_consent.rights import states
from covey_consent.rights.periods import Period, period
from covey_consent.rights.states import OPEN, Kind, Standing, State, Step
from covey_consent.rights.tables import RightsRequest, RightsStep
from covey_consent.tickets.epoch_calendar import Calendar

AT_ONCE = (Kind.ACCESS, Kind.PORTABILITY, Kind.RESTRICTION, Kind.OBJECTION)
"""What a person who is known by their own token gets without waiting for an officer."""

ABSOLUTE = ("marketing",)
"""Purposes to which an objection is absolute: GDPR Art. 21(2) and (3)."""

REASONED = (Step.EXTEND, Step.REFUSE)
"""Steps that nobody may take without saying why: GDPR Art. 12(3) and (4), PIPL Art. 50."""

EFFECTIVE = (Step.FULFIL, Step.LIFT)
"""Steps that do something to what is kept of the person."""

FOUR_EYES = (Kind.ERASURE,)
"""Requests of which one officer alone can do nothing: who verifies is another than who entered it."""

OWN = (Step.CANCEL, Step.LIFT)
"""Steps that a person takes themselves."""

Place = tuple[int, str]
"""Where a page of requests begins: after the request of this time and id."""

Effect = Callable[[Session, RightsRequest, Caller, str], str | None]
"""Does what was asked for, in the caller's write; given the officer's answer, returns what is noted.

None where nothing can be: the request is gone, with all of the person."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it comes in: `purpose` for an objection, `changes` (canonical JSON) to rectify."""

    subject: str
    kind: Kind
    words: str
    purpose: str | None = None
    changes: str | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """A step as it is taken: `method` is how identity was checked, `reason` also a review's answer."""

    step: Step
    method: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Due:
    """Which requests are listed: late ones, open ones that are due within so many days; all with neither."""

    overdue: bool = False
    within_days: int | None = None


@dataclass(frozen=True, slots=True)
class Desk:
    """The desk's clock, the law's periods (see `period`), and what each kind of request does."""

    calendar: Calendar
    periods: Mapping[str, str]
    longer: Period
    effects: Mapping[tuple[Kind, Step], Effect]

    def receive(self, session: Session, asked: Asked, caller: Caller, country: str | None) -> RightsRequest:
        """Keep a new request. A person's own counts as identified; what needs no officer is done at once."""
        now = self.calendar.now
        request = RightsRequest(
            id=uuid.uuid4().hex, subject=asked.subject, kind=asked.kind, purpose=asked.purpose,
            words=asked.words, changes=asked.changes, state=State.RECEIVED, received_at=now,
            due_at=period(self.periods, country, asked.kind).after(now), extended=False, version=0,
            entered_role=caller.role, entered_by=caller.name,
        )  # fmt: skip
        session.add(request)
        session.flush()
        if caller.role is Role.SUBJECT:
            self._identified(session, request, caller)
        return request

    def take(self, session: Session, id_: str, taken: Taken, caller: Caller) -> RightsRequest:
        """Take a step. Raises ConflictError where it may not follow, DeniedError where it is not theirs."""
        request = find(session, id_, caller, self.calendar.year)
        _check(request, taken, caller)
        self._step(session, request, taken, caller)
        return request

    def overdue(self, session: Session) -> int:
        """Count the requests whose answer is late: what an alarm watches."""
        return session.scalar(select(func.count()).where(*self._late())) or 0

    def page(
        self, session: Session, caller: Caller, after: Place | None, limit: int, due: Due
    ) -> Sequence[RightsRequest]:
        """Return requests by time of receipt: a person's own, or everyone's; only those `due` where asked."""
        query = select(RightsRequest).order_by(RightsRequest.received_at, RightsRequest.id).limit(limit)
        if after is not None:
            query = query.where(tuple_(RightsRequest.received_at, RightsRequest.id) > after)
        if caller.role is Role.SUBJECT:
            query = query.where(_theirs(session, caller, self.calendar.year))
        return session.scalars(query.where(*self._due(due))).all()

    def _due(self, due: Due) -> tuple[ColumnElement[bool], ...]:
        now = self.calendar.now
        if due.within_days is None:
            return self._late() if due.overdue else ()
        soon = RightsRequest.state.in_(OPEN), RightsRequest.due_at <= now + due.within_days * 86400
        return soon if due.overdue else (*soon, RightsRequest.due_at >= now)

    def _late(self) -> tuple[ColumnElement[bool], ...]:
        return RightsRequest.state.in_(OPEN), RightsRequest.due_at < self.calendar.now

    def _identified(self, session: Session, request: RightsRequest, caller: Caller) -> None:
        self._step(session, request, Taken(Step.VERIFY, "own access token"), caller)
        if request.kind in AT_ONCE:
            self._step(session, request, Taken(Step.START), caller)
            self._step(session, request, Taken(Step.FULFIL), caller)

    def _step(self, session: Session, request: RightsRequest, taken: Taken, caller: Caller) -> None:
        reached = states.advance(standing(request), taken.step, self.calendar.now, self.longer)
        note: str | None = taken.reason
        if taken.step in EFFECTIVE:
            note = self._effect(request, taken.step)(session, request, caller, taken.reason)
        request.state, request.due_at, request.extended = reached.state, reached.due_at, reached.extended
        request.version += 1
        if note is None:
            return
        session.add(
            RightsStep(
                request=request.id, number=request.version, subject=request.subject, step=taken.step,
                state=reached.state, role=caller.role, name=caller.name, method=taken.method, reason=note,
                at=self.calendar.now,
            )
        )  # fmt: skip
        session.flush()

    def _effect(self, request: RightsRequest, step: Step) -> Effect:
        effect = self.effects.get((Kind(request.kind), step))
        if effect is None:
            raise ConflictError(f"there is nothing to {step} in a request of the kind {request.kind}")
        return effect


def standing(request: RightsRequest) -> Standing:
    """Return where the request stands."""
    return Standing(State(request.state), request.due_at, request.extended)


def find(session: Session, id_: str, caller: Caller, year: int) -> RightsRequest:
    """Return the request. Raises UnknownError; to a person, also where it is neither theirs nor a ward's."""
    query = select(RightsRequest).where(RightsRequest.id == id_)
    if caller.role is Role.SUBJECT:
        query = query.where(_theirs(session, caller, year))
    request = session.scalar(query)
    if request is None:
        raise UnknownError("there is no such request; if it asked for erasure, see /v1/erasures/<its id>")
    return request


def steps(session: Session, id_: str) -> Sequence[RightsStep]:
    """Return the request's steps, oldest first."""
    return session.scalars(
        select(RightsStep).where(RightsStep.request == id_).order_by(RightsStep.number)
    ).all()


def require_told(caller: Caller, said: str) -> None:
    """Raise RequestError where an officer lifts a restriction and does not say how the person was told."""
    if caller.role is not Role.SUBJECT and not said:
        raise RequestError("say how the person was told before that the restriction ends: GDPR Art. 18(3)")


def _theirs(session: Session, caller: Caller, year: int) -> ColumnElement[bool]:
    # A token that names nobody must not match those who have no guardian.
    own = caller.subject or ""
    return RightsRequest.subject.in_({own, *subjects.wards(session, own, year)})


def _check(request: RightsRequest, taken: Taken, caller: Caller) -> None:
    if caller.role is Role.SUBJECT and taken.step not in OWN:
        raise DeniedError(f"a person may {' or '.join(OWN)}; to {taken.step} is an officer's step")
    if taken.step is Step.VERIFY and not taken.method:
        raise RequestError("to verify an identity, say by which method it was checked")
    if (
        taken.step is Step.VERIFY
        and request.kind in FOUR_EYES
        and same_person(request.entered_by, caller.name)
    ):
        raise DeniedError(
            f"{caller.name!r} entered this request for {request.kind}; another officer has to verify who asks"
        )
    if taken.step is Step.LIFT:
        require_told(caller, taken.reason)
    if taken.step in REASONED and not taken.reason:
        raise RequestError(f"to {taken.step} a request, give the reason: the person is told it")
    if taken.step is Step.CANCEL and caller.role is not Role.SUBJECT and not taken.reason:
        raise RequestError("only the person cancels a request; say in the reason how they told you")
    if _denies(taken, caller) and request.kind == Kind.OBJECTION and request.purpose in ABSOLUTE:
        raise ConflictError(
            f"an objection to {request.purpose} is absolute: nobody can refuse it, and nobody but the person "
            "take it back"
        )


def _denies(taken: Taken, caller: Caller) -> bool:
    return taken.step is Step.REFUSE or (taken.step is Step.CANCEL and caller.role is not Role.SUBJECT)
