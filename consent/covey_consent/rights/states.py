"""The states of a request and the actions that lead from one to the next.

`TRANSITIONS` lists every action that a state allows; any other raises ConflictError. A request is extended
once, within its first period (GDPR Art. 12(3)).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from covey_consent.errors import ConflictError
from covey_consent.policy.periods import Period
from covey_consent.rights.tables import RightsRequest


class RequestKind(StrEnum):
    """The kinds of request: GDPR Articles 15 to 18 and 20 to 22; PIPL Articles 24 and 44 to 47."""

    ACCESS = "access"
    RECTIFICATION = "rectification"
    ERASURE = "erasure"
    RESTRICTION = "restriction"
    PORTABILITY = "portability"
    OBJECTION = "objection"
    REVIEW = "review"


class RequestState(StrEnum):
    """The states of a request."""

    RECEIVED = "received"
    UNVERIFIED = "unverified"
    VERIFIED = "verified"
    IN_PROGRESS = "in progress"
    FULFILLED = "fulfilled"
    REFUSED = "refused"
    CANCELLED = "cancelled"


class RequestAction(StrEnum):
    """The steps that a request can take.

    `DOUBT`: the person could not be identified (GDPR Art. 12(6)). `LIFT`: a restriction ends (Art. 18(3)).
    """

    VERIFY = "verify"
    DOUBT = "doubt"
    START = "start"
    EXTEND = "extend"
    FULFIL = "fulfil"
    REFUSE = "refuse"
    CANCEL = "cancel"
    LIFT = "lift"


_ANSWERING = {
    RequestState.RECEIVED: {
        RequestAction.VERIFY: RequestState.VERIFIED,
        RequestAction.DOUBT: RequestState.UNVERIFIED,
    },
    RequestState.UNVERIFIED: {RequestAction.VERIFY: RequestState.VERIFIED},
    RequestState.VERIFIED: {RequestAction.START: RequestState.IN_PROGRESS},
    RequestState.IN_PROGRESS: {RequestAction.FULFIL: RequestState.FULFILLED},
}

OPEN = tuple(_ANSWERING)
"""The states of a request that is not answered yet. Each can be extended, refused and cancelled."""

TRANSITIONS: Mapping[RequestState, Mapping[RequestAction, RequestState]] = {
    **{
        state: {
            **actions,
            RequestAction.EXTEND: state,
            RequestAction.REFUSE: RequestState.REFUSED,
            RequestAction.CANCEL: RequestState.CANCELLED,
        }
        for state, actions in _ANSWERING.items()
    },
    RequestState.FULFILLED: {RequestAction.LIFT: RequestState.FULFILLED},
    RequestState.REFUSED: {},
    RequestState.CANCELLED: {},
}
"""State -> action -> state. An action that is missing raises ConflictError."""


def is_overdue(request: RightsRequest, now: int) -> bool:
    """Say whether the answer to a request is late at `now` (Unix seconds)."""
    return request.state in OPEN and now > request.due_at


def advance(request: RightsRequest, action: RequestAction, now: int, extension: Period) -> None:
    """Move the request to the state after the action. Raises ConflictError where there is none."""
    after = TRANSITIONS[RequestState(request.state)].get(action)
    if after is None:
        raise ConflictError(f"the request is {request.state}; to {action} it is no step from there")
    if action is RequestAction.EXTEND:
        if request.extended:
            raise ConflictError("the request was extended before; it can be once: fulfil or refuse it")
        if now > request.due_at:
            raise ConflictError(
                "the request is overdue; an extension has to be told before: fulfil or refuse it"
            )
        request.due_at, request.extended = extension.after(request.due_at), True
    request.state = after
