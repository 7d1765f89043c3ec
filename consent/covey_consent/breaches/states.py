"""Where a breach stands, and which step may follow."""

from __future__ import annotations

from enum import StrEnum

from covey_consent.errors import ConflictError


class State(StrEnum):
    """Where a breach stands."""

    OPEN = "open"
    AUTHORITY = "authority notified"
    PEOPLE = "people notified"
    CLOSED = "closed"


class Step(StrEnum):
    """What is done about a breach."""

    UPDATE = "update"
    NOTIFY_AUTHORITY = "notify authority"
    NOTIFY_PEOPLE = "notify people"
    CLOSE = "close"


NEXT = {
    **{(state, Step.UPDATE): state for state in (State.OPEN, State.AUTHORITY, State.PEOPLE)},
    **{(state, Step.CLOSE): State.CLOSED for state in (State.OPEN, State.AUTHORITY, State.PEOPLE)},
    (State.OPEN, Step.NOTIFY_AUTHORITY): State.AUTHORITY,
    (State.OPEN, Step.NOTIFY_PEOPLE): State.PEOPLE,
    # In phases (GDPR Art. 33(4)), and people before the authority where that was quicker.
    (State.AUTHORITY, Step.NOTIFY_AUTHORITY): State.AUTHORITY,
    (State.AUTHORITY, Step.NOTIFY_PEOPLE): State.PEOPLE,
    (State.PEOPLE, Step.NOTIFY_AUTHORITY): State.PEOPLE,
    (State.PEOPLE, Step.NOTIFY_PEOPLE): State.PEOPLE,
}
"""Every step that there is. One that is missing here is an error."""


def advance(state: State, step: Step) -> State:
    """Return where the step leads. Raises ConflictError where there is none."""
    after = NEXT.get((state, step))
    if after is None:
        raise ConflictError(f"the breach is {state}; to {step} is no step from there")
    return after
