"""The effects of requests once they are fulfilled, and of restrictions once they are lifted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from covey_consent.access.roles import Caller, Role
from covey_consent.decisions import states
from covey_consent.decisions.consent_event import EVERYTHING, OFFICER, SUBJECT, ConsentEvent
from covey_consent.decisions.standing_choices import StandingChoices
from covey_consent.errors import ConflictError, DeniedError, RequestError
from covey_consent.policy import purposes
from covey_consent.policy.epoch_calendar import Calendar
from covey_consent.rights.erasure import Erasure
from covey_consent.rights.rectification import Rectification
from covey_consent.rights.states import RequestAction, RequestKind, RequestState
from covey_consent.rights.tables import RightsRequest, RightsStep
from covey_consent.storage.models import StandingChoice

METHOD = "rights desk"
"""The method of consent events that requests record."""


@dataclass(frozen=True, slots=True)
class Effects:
    """Applies fulfilled requests to what is kept of the person, in the caller's write."""

    calendar: Calendar
    choices: StandingChoices
    rectification: Rectification
    erasure: Erasure

    def apply(
        self, session: Session, request: RightsRequest, action: RequestAction, caller: Caller, answer: str
    ) -> str | None:
        """Apply the action to what is kept of the person; return the reason that its step records.

        None where no step can be recorded: the request is erased with the person. `answer` is the officer's.
        Raises ConflictError where requests of this kind have no such action.
        """
        match request.kind, action:
            case RequestKind.ACCESS | RequestKind.PORTABILITY, RequestAction.FULFIL:
                # GDPR Art. 15 and 20. The export is made anew whenever it is fetched.
                return f"the export can be fetched from /v1/rights/{request.id}/export"
            case RequestKind.RECTIFICATION, RequestAction.FULFIL:
                return self.rectification.fulfil(session, request, caller)
            case RequestKind.ERASURE, RequestAction.FULFIL:
                self.erasure.fulfil(session, request, caller, answer)
                return None
            case RequestKind.RESTRICTION, RequestAction.FULFIL:
                self._record(session, request.subject, EVERYTHING, states.RESTRICTED, caller)
                return "no purpose is allowed until the restriction is lifted"
            case RequestKind.RESTRICTION, RequestAction.LIFT:
                self._lift(session, request, caller)
                return answer
            case RequestKind.OBJECTION, RequestAction.FULFIL:
                return self._object(session, request, caller)
            case RequestKind.REVIEW, RequestAction.FULFIL:
                _require_human_answer(caller, answer)
                return answer
        raise ConflictError(f"there is nothing to {action} in a request of the kind {request.kind}")

    def _object(self, session: Session, request: RightsRequest, caller: Caller) -> str:
        """Allow the purpose no longer, until the person grants it anew (GDPR Art. 21)."""
        purpose = purposes.find(request.purpose or "")
        if purpose.basis in ("contract", "law"):
            raise RequestError(
                f"purpose {purpose.id!r} rests on {purpose.basis}: no objection ends it (GDPR Art. 21(1)); "
                "ask for erasure or restriction"
            )
        self._record(session, request.subject, purpose.id, states.OBJECTED, caller)
        return f"{purpose.id} is not allowed unless the person grants it anew"

    def _lift(self, session: Session, request: RightsRequest, caller: Caller) -> None:
        """End the restriction; with the last one of the person, processing is allowed again."""
        restricting = {one.id for one in standing_restrictions(session, request.subject)}
        if request.id not in restricting:
            raise ConflictError("this restriction was lifted before; /v1/rights lists what else restricts")
        if restricting == {request.id}:
            self._record(session, request.subject, EVERYTHING, states.LIFTED, caller)

    def _record(self, session: Session, subject: str, purpose: str, state: str, caller: Caller) -> None:
        standing = session.get(StandingChoice, (subject, purpose))
        # The event is the later one also where a clock that runs ahead dated the standing choice.
        at = max(self.calendar.milliseconds, standing.at if standing else 0)
        actor = SUBJECT if caller.role is Role.SUBJECT else OFFICER
        self.choices.record(session, [ConsentEvent(subject, purpose, state, actor, METHOD, at)])


def standing_restrictions(session: Session, subject: str) -> Sequence[RightsRequest]:
    """Return the person's requests under which processing is restricted now, oldest first."""
    lifted = select(RightsStep.request).filter_by(subject=subject, step=RequestAction.LIFT)
    query = select(RightsRequest).filter_by(
        subject=subject, kind=RequestKind.RESTRICTION, state=RequestState.FULFILLED
    )
    query = query.where(RightsRequest.id.not_in(lifted))
    return session.scalars(query.order_by(RightsRequest.received_at, RightsRequest.id)).all()


def _require_human_answer(caller: Caller, answer: str) -> None:
    """Raise unless an officer answers the request for a review (GDPR Art. 22(3), PIPL Art. 24)."""
    if caller.role is not Role.OFFICER:
        raise DeniedError("a review is an officer's: the person asked for a human")
    if not answer:
        raise RequestError(
            "a review is fulfilled by a human's answer with its reasons; give it as the reason"
        )
