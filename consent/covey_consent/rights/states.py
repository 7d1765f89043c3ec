"""Where a request stands, and which step may follow: received, identified, in progress, closed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from covey_consent.errors import ConflictError
from covey_consent.rights.periods import Period


class Kind(StrEnum):
    """What is asked for: GDPR Articles 15 to 18 and 20 to 22; PIPL Articles 24 and 44 to 47."""

    ACCESS = "access"
    RECTIFICATION = "rectification"
    ERASURE = "erasure"
    RESTRICTION = "restriction"
    PORTABILITY = "portability"
    OBJECTION = "objection"
    REVIEW = "review"


class State(StrEnum):
    """Where a request stands."""

    RECEIVED = "received"
    UNVERIFIED = "unverified"
    VERIFIED = "verified"
    IN_PROGRESS = "in progress"
    FULFILLED = "fulfilled"
    REFUSED = "refused"
    CANCELLED = "cancelled"


class Step(StrEnum):
    """What is done to a request.

    `DOUBT`: whoever asks could not be identified (GDPR Art. 12(6)). `LIFT`: a restriction ends (Art. 18(3)).
    """

    VERIFY = "verify"
    DOUBT = "doubt"
    START = "start"
    EXTEND = "extend"
    FULFIL = "fulfil"
    REFUSE = "refuse"
    CANCEL = "cancel"
    LIFT = "lift"


OPEN = (State.RECEIVED, State.UNVERIFIED, State.VERIFIED, State.IN_PROGRESS)

NEXT = {
    (State.RECEIVED, Step.VERIFY): State.VERIFIED,
    (State.RECEIVED, Step.DOUBT): State.UNVERIFIED,
    (State.UNVERIFIED, Step.VERIFY): State.VERIFIED,
    (State.VERIFIED, Step.START): State.IN_PROGRESS,
    (State.IN_PROGRESS, Step.FULFIL): State.FULFILLED,
    (State.FULFILLED, Step.LIFT): State.FULFILLED,
    **{(state, Step.EXTEND): state for state in OPEN},
    **{(state, Step.REFUSE): State.REFUSED for state in OPEN},
    **{(state, Step.CANCEL): State.CANCELLED for state in OPEN},
}
"""Every step that there is. One that is missing here is an error."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A request's state and clock; times are Unix seconds."""

    state: State
    due_at: int
    extended: bool = False

    def overdue(self, now: int) -> bool:
        """Say whether the answer is late."""
        return self.state in OPEN and now > self.due_at


def advance(standing: Standing, step: Step, now: int, longer: Period) -> Standing:
    """Return where the step leads; an extension is by `longer`. Raises ConflictError where there is none."""
    state = NEXT.get((standing.state, step))
    if state is None:
        raise ConflictError(f"the request is {standing.state}; to {step} it is no step from there")
    if step is Step.EXTEND:
        return _extended(standing, now, longer)
    return replace(standing, state=state)


def _extended(standing: Standing, now: int, longer: Period) -> Standing:
    # GDPR Art. 12(3): one extension, told within the first period.
    if standing.extended:
        raise ConflictError("the request was extended before; it can be once: fulfil or refuse it")
    if now > standing.due_at:
        raise ConflictError("the request is overdue; an extension has to be told before: fulfil or refuse it")
    return replace(standing, due_at=longer.after(standing.due_at), extended=True)
