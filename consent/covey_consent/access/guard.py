"""The guard: a route names the roles that may ask, and gets who asked.

Whoever may look at other people's records leaves a row in the access log, kept before the route begins.
"""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import unquote

from fastapi import Request, Security
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase

from covey_consent import subjects
from covey_consent.access import access_log
from covey_consent.access.roles import LOGGED, Caller, Role
from covey_consent.errors import DeniedError, RequestError
from covey_consent.registry import Registry

REASON = "covey-reason"
REASON_CHARACTERS = 500


class Guard(SecurityBase):
    """Lets the roles pass: a subject to their own records or their child's, an officer with a reason."""

    def __init__(self, roles: tuple[Role, ...], logged: bool) -> None:
        self._roles = frozenset(roles)
        self._logged = LOGGED & self._roles if logged else frozenset[Role]()
        self.scheme_name = "access-token"
        self.model = HTTPBearer(
            bearerFormat="JWT",
            description="A JWT that names a role; bound to a key (`cnf.jkt`), it comes as DPoP with a proof",
        )

    async def __call__(self, request: Request) -> Caller:
        """Return who asks. Raises UnauthenticatedError, DeniedError, and RequestError without a reason."""
        here = cast(Registry, request.app.state.registry)
        now = here.calendar.now
        caller = await here.gate.caller(request, now)
        role = caller.role
        if role not in self._roles:
            raise DeniedError(f"this needs the role {' or '.join(sorted(self._roles))}; the token has {role}")
        if role is Role.SUBJECT:
            await require_own(here, caller, _subject(request))
        elif role in self._logged:
            await _log(here, request, caller, now)
        return caller


def needs(*roles: Role, logged: bool = True) -> Any:
    """Return the dependency that gives the `Caller` where one of the roles asks.

    A route's parameter named `subject` is the person it is about. Not `logged`: it shows nothing of people.
    """
    return Security(Guard(roles, logged), scopes=sorted(roles))


def reason(request: Request) -> str | None:
    """Return why the caller asks: `Covey-Reason`, percent-encoded UTF-8. Raises RequestError."""
    sent = request.headers.get(REASON)
    if sent is None:
        return None
    try:
        text = unquote(sent, errors="strict").strip()
    except UnicodeDecodeError:
        raise RequestError("Covey-Reason is not percent-encoded UTF-8") from None
    if not 0 < len(text) <= REASON_CHARACTERS or not text.isprintable():
        raise RequestError(f"Covey-Reason takes one line of 1 to {REASON_CHARACTERS} characters")
    return text


def _subject(request: Request) -> str | None:
    found = request.path_params.get("subject") or request.query_params.get("subject")
    return None if found is None else str(found)


async def require_own(here: Registry, caller: Caller, subject: str | None) -> None:
    """Raise DeniedError where a person asks about someone else who is not their child."""
    if subject is None or subject == caller.subject:
        return
    if not await here.store.read(subjects.answers_for, caller.subject, subject, here.calendar.year):
        raise DeniedError(
            "these are another person's records; a person sees and changes their own, and a guardian their "
            "child's"
        )


async def _log(here: Registry, request: Request, caller: Caller, now: int) -> None:
    subject, why = _subject(request), reason(request)
    if caller.role is Role.OFFICER and subject is not None and why is None:
        raise RequestError("an officer gives a reason to look at a person: Covey-Reason: <why>")
    operation = request.scope["route"].name
    await here.store.write(access_log.record, caller, operation, subject, why, now)
