"""Restrictions (GDPR Art. 18): each is a request at the desk; processing rests until the last is lifted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from covey_consent.access.roles import Caller
from covey_consent.decisions import states
from covey_consent.decisions.consent_event import EVERYTHING
from covey_consent.errors import ConflictError
from covey_consent.rights.requests import Asked, Desk, Taken, require_told
from covey_consent.rights.states import Kind, State, Step
from covey_consent.rights.tables import RightsRequest, RightsStep
from covey_consent.storage.models import Event, StandingChoice


@dataclass(frozen=True, slots=True)
class Restrictions:
    """Puts and lifts restrictions for who does not go to the desk."""

    desk: Desk

    def put(self, session: Session, subject: str, caller: Caller) -> Event:
        """Restrict all processing of the person's data, where nothing does yet; return the event."""
        if not standing(session, subject):
            self._request(session, subject, caller)
        return _newest(session, subject)

    def lift(self, session: Session, subject: str, caller: Caller, told: str) -> Event:
        """Lift every restriction of the person; `told` is how an officer told them before.

        Raises ConflictError where there is none, RequestError for an officer who told nobody.
        """
        require_told(caller, told)
        choice = session.get(StandingChoice, (subject, EVERYTHING))
        if choice is None or choice.state != states.RESTRICTED:
            raise ConflictError("nothing of the person is restricted, so there is nothing to lift")
        # One that came with an import has no request here yet, and the statement needs one.
        requests = standing(session, subject) or [self._request(session, subject, caller)]
        for request in requests:
            self.desk.take(session, request.id, Taken(Step.LIFT, reason=told), caller)
        return _newest(session, subject)

    def _request(self, session: Session, subject: str, caller: Caller) -> RightsRequest:
        request = self.desk.receive(session, Asked(subject, Kind.RESTRICTION, ""), caller, None)
        if request.state == State.RECEIVED:
            for step in (Step.VERIFY, Step.START, Step.FULFIL):
                self.desk.take(session, request.id, Taken(step, method="put by the officer"), caller)
        return request


def standing(session: Session, subject: str) -> Sequence[RightsRequest]:
    """Return the person's requests under which processing is restricted now, oldest first."""
    lifted = select(RightsStep.request).filter_by(subject=subject, step=Step.LIFT)
    query = select(RightsRequest).filter_by(subject=subject, kind=Kind.RESTRICTION, state=State.FULFILLED)
    query = query.where(RightsRequest.id.not_in(lifted))
    return session.scalars(query.order_by(RightsRequest.received_at, RightsRequest.id)).all()


def _newest(session: Session, subject: str) -> Event:
    query = select(Event).filter_by(subject=subject, purpose=EVERYTHING).order_by(Event.id.desc()).limit(1)
    return session.scalars(query).one()
