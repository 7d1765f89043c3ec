"""Effects: what requests do once they are fulfilled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.orm import Session

from covey_consent.access.roles import Caller, Role
from covey_consent.decisions import states
from covey_consent.decisions.consent_event import EVERYTHING, OFFICER, SUBJECT, ConsentEvent
from covey_consent.decisions.standing_choices import StandingChoices
from covey_consent.errors import ConflictError, DeniedError, RequestError
from covey_consent.policy import purposes
from covey_consent.rights import restrictions
from covey_consent.rights.erasure import Erasure
from covey_consent.rights.rectification import Rectification
from covey_consent.rights.requests import Effect
from covey_consent.rights.states import Kind, Step
from covey_consent.rights.tables import RightsRequest
from covey_consent.storage.models import StandingChoice
from covey_consent.tickets.epoch_calendar import Calendar

NEEDED = ("contract", "law")
"""Bases to which there is no objection."""

METHOD = "rights desk"


def effects(
    calendar: Calendar, choices: StandingChoices, rectification: Rectification, erasure: Erasure
) -> Mapping[tuple[Kind, Step], Effect]:
    """Return what each kind of request does."""
    limits = Limits(calendar, choices)
    return {
        (Kind.ACCESS, Step.FULFIL): export,
        (Kind.PORTABILITY, Step.FULFIL): export,
        (Kind.RECTIFICATION, Step.FULFIL): rectification.fulfil,
        (Kind.ERASURE, Step.FULFIL): erasure.fulfil,
        (Kind.RESTRICTION, Step.FULFIL): limits.restrict,
        (Kind.RESTRICTION, Step.LIFT): limits.lift,
        (Kind.OBJECTION, Step.FULFIL): limits.object,
        (Kind.REVIEW, Step.FULFIL): review,
    }


def export(_session: Session, request: RightsRequest, _caller: Caller, _answer: str) -> str:
    """Open the export to the person (GDPR Art. 15 and 20): it is made anew whenever it is fetched."""
    return f"the export can be fetched from /v1/rights/{request.id}/export"


def review(_session: Session, _request: RightsRequest, caller: Caller, answer: str) -> str:
    """Keep a human's answer to who asks for one (GDPR Art. 22(3), PIPL Art. 24)."""
    if caller.role is not Role.OFFICER:
        raise DeniedError("a review is an officer's: the person asked for a human")
    if not answer:
        raise RequestError(
            "a review is fulfilled by a human's answer with its reasons; give it as the reason"
        )
    return answer


@dataclass(frozen=True, slots=True)
class Limits:
    """What ends processing and not the record: restriction (GDPR Art. 18) and objection (Art. 21)."""

    calendar: Calendar
    choices: StandingChoices

    def restrict(self, session: Session, request: RightsRequest, caller: Caller, _answer: str) -> str:
        """Allow no purpose at all, until the restriction is lifted."""
        self._record(session, request.subject, EVERYTHING, states.RESTRICTED, caller)
        return "no purpose is allowed until the restriction is lifted"

    def object(self, session: Session, request: RightsRequest, caller: Caller, _answer: str) -> str:
        """Allow the purpose no longer, until the person grants it anew."""
        purpose = purposes.find(request.purpose or "")
        if purpose.basis in NEEDED:
            raise RequestError(
                f"purpose {purpose.id!r} rests on {purpose.basis}: no objection ends it (GDPR Art. 21(1)); "
                "ask for erasure or restriction"
            )
        self._record(session, request.subject, purpose.id, states.OBJECTED, caller)
        return f"{purpose.id} is not allowed unless the person grants it anew"

    def lift(self, session: Session, request: RightsRequest, caller: Caller, answer: str) -> str:
        """End the restriction, and with the last one of the person what it stopped.

        `answer` says how the person was told before (GDPR Art. 18(3)).
        """
        restricting = {one.id for one in restrictions.standing(session, request.subject)}
        if request.id not in restricting:
            raise ConflictError("this restriction was lifted before; /v1/rights lists what else restricts")
        if restricting == {request.id}:
            self._record(session, request.subject, EVERYTHING, states.LIFTED, caller)
        return answer

    def _record(self, session: Session, subject: str, purpose: str, state: str, caller: Caller) -> None:
        standing = session.get(StandingChoice, (subject, purpose))
        # Also where a clock that runs ahead dated what stands: this is the later word.
        at = max(self.calendar.milliseconds, standing.at if standing else 0)
        actor = SUBJECT if caller.role is Role.SUBJECT else OFFICER
        self.choices.record(session, [ConsentEvent(subject, purpose, state, actor, METHOD, at)])
