"""The guard: a route names the roles that may ask, and gets who asked.

Whoever may look at other people's records leaves a row in the access log, kept before the route begins: it
names the person whom the route is about, also where the address names only an event or a request of theirs.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, cast
from urllib.parse import unquote

from fastapi import Request, Security
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase

from covey_consent.access import access_log
from covey_consent.access.roles import LOGGED, Caller, Role
from covey_consent.decisions import subjects
from covey_consent.errors import DeniedError, RequestError
from covey_consent.registry import Registry

REASON = "covey-reason"
REASON_CHARACTERS = 500

SUBJECT = "subject"

CALLER = "covey.caller"
"""The key in a request's scope of the guard that let it pass, and of who asks."""

_PSEUDONYM = re.compile("[0-9a-f]{32}")

About = Callable[[Registry, Request], Awaitable[str | None]]
"""Finds the person whom a request is about, None where that is nobody or not one alone."""


class Guard(SecurityBase):
    """Lets the roles pass: a subject to their own records or their child's, an officer with a reason."""

    def __init__(self, roles: tuple[Role, ...], logged: bool, about: About | None) -> None:
        self._roles, self._about = frozenset(roles), about
        self._logged = LOGGED & self._roles if logged else frozenset[Role]()
        self.scheme_name = "access-token"
        self.model = HTTPBearer(
            bearerFormat="JWT",
            description="A JWT that names a role; bound to a key (`cnf.jkt`), it comes as DPoP with a proof",
        )

    async def __call__(self, request: Request) -> Caller:
        """Return who asks. Raises UnauthenticatedError, DeniedError, and RequestError without a reason.

        A request is checked once: a route that reads a body has it checked before.
        """
        checked = request.scope.get(CALLER)
        if checked is not None and checked[0] is self:
            return cast(Caller, checked[1])
        caller = await self._check(request)
        request.scope[CALLER] = self, caller
        return caller

    async def _check(self, request: Request) -> Caller:
        here = cast(Registry, request.app.state.registry)
        now = here.calendar.now
        caller = await here.gate.caller(request, now)
        role = caller.role
        if role not in self._roles:
            raise DeniedError(f"this needs the role {' or '.join(sorted(self._roles))}; the token has {role}")
        if caller.device is not None:
            # It may have been detached since the token was made.
            await here.choices.find_of_device(caller.device)
        if role is Role.SUBJECT:
            await require_own(here, caller, _subject(request))
        elif role in self._logged:
            await self._log(here, request, caller, now)
        return caller

    async def _log(self, here: Registry, request: Request, caller: Caller, now: int) -> None:
        subject, why = _subject(request), reason(request)
        if caller.role is Role.OFFICER and why is None and (self._about or subject):
            raise RequestError("an officer gives a reason to look at a person: Covey-Reason: <why>")
        if self._about is not None:
            subject = await self._about(here, request)
        operation = request.scope["route"].name
        await here.store.write(access_log.record, caller, operation, subject, why, now)


def needs(*roles: Role, logged: bool = True, about: About | None = None) -> Any:
    """Return the dependency that gives the `Caller` where one of the roles asks.

    A route's own parameter named `subject` is the person it is about; `about` finds them where there is none.
    Not `logged`: it shows nothing of people.
    """
    return Security(Guard(roles, logged, about), scopes=sorted(roles))


async def everyone(_here: Registry, _request: Request) -> None:
    """Name nobody: what is asked for is about many people."""


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
    """Return the person whom a parameter of the route's names. Raises RequestError for no pseudonym."""
    found = request.path_params.get(SUBJECT)
    if found is None and any(one.alias == SUBJECT for one in request.scope["route"].dependant.query_params):
        found = request.query_params.get(SUBJECT)
    if found is not None and not _PSEUDONYM.fullmatch(found):
        raise RequestError("a subject is a pseudonym of 32 hex digits in lower case")
    return found


async def require_own(here: Registry, caller: Caller, subject: str | None) -> None:
    """Raise DeniedError where a person asks about someone else who is not their child."""
    if subject is None or subject == caller.subject:
        return
    if not await here.store.read(subjects.answers_for, caller.subject, subject, here.calendar.year):
        raise DeniedError(
            "these are another person's records; a person sees and changes their own, and a guardian their "
            "child's"
        )
