"""Authorization: a route names the roles that may call it (`needs`), and gets the caller.

A request of an officer, auditor or administrator is written to the access log before the route runs. The row
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
"""The key in a request's scope of the guard that admitted it and of its caller."""

_PSEUDONYM = re.compile("[0-9a-f]{32}")

About = Callable[[Registry, Request], Awaitable[str | None]]
"""Finds the one person whom a request is about, or None."""


class Guard(SecurityBase):
    """A dependency that admits roles: subjects to their own or a child's records, officers with a reason."""

    def __init__(self, roles: tuple[Role, ...], logged: bool, about: About | None) -> None:
        self._roles, self._about = frozenset(roles), about
        self._logged = LOGGED & self._roles if logged else frozenset[Role]()
        self.scheme_name = "access-token"
        self.model = HTTPBearer(
            bearerFormat="JWT",
            description="A JWT that names a role; bound to a key (`cnf.jkt`), it comes as DPoP with a proof",
        )

    async def __call__(self, request: Request) -> Caller:
        """Return the caller. Raises UnauthenticatedError, DeniedError, and RequestError without a reason.

        A request is checked once, for routes with a JSON body before the body is read.
        """
        checked = request.scope.get(CALLER)
        if checked is not None and checked[0] is self:
            return cast(Caller, checked[1])
        caller = await self._check(request)
        request.scope[CALLER] = self, caller
        return caller

    async def _check(self, request: Request) -> Caller:
        registry = cast(Registry, request.app.state.registry)
        now = registry.calendar.now
        caller = await registry.authenticator.caller(request, now)
        role = caller.role
        if role not in self._roles:
            raise DeniedError(f"this needs the role {' or '.join(sorted(self._roles))}; the token has {role}")
        if caller.device is not None:
            # It may have been detached since the token was made.
            await registry.choices.find_of_device(caller.device)
        if role is Role.SUBJECT:
            await require_own(registry, caller, _subject(request))
        elif role in self._logged:
            await self._log(registry, request, caller, now)
        return caller

    async def _log(self, registry: Registry, request: Request, caller: Caller, now: int) -> None:
        subject, why = _subject(request), reason(request)
        if caller.role is Role.OFFICER and why is None and (self._about or subject):
            raise RequestError("an officer gives a reason to look at a person: Covey-Reason: <why>")
        if self._about is not None:
            subject = await self._about(registry, request)
        operation = request.scope["route"].name
        await registry.store.write(access_log.record, caller, operation, subject, why, now)


def needs(*roles: Role, logged: bool = True, about: About | None = None) -> Any:
    """Return the dependency that gives the `Caller`, who has one of the roles.

    A route's own parameter named `subject` is the person it is about; `about` finds them where there is none.
    A route that shows nothing of people is not `logged`.
    """
    return Security(Guard(roles, logged, about), scopes=sorted(roles))


async def everyone(_registry: Registry, _request: Request) -> None:
    """Return None: the route is about many people."""


def reason(request: Request) -> str | None:
    """Return the caller's reason from `Covey-Reason`, percent-encoded UTF-8. Raises RequestError."""
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
    """Return the person whom a parameter of the route names. Raises RequestError for no pseudonym."""
    found = request.path_params.get(SUBJECT)
    if found is None and any(one.alias == SUBJECT for one in request.scope["route"].dependant.query_params):
        found = request.query_params.get(SUBJECT)
    if found is not None and not _PSEUDONYM.fullmatch(found):
        raise RequestError("a subject is a pseudonym of 32 hex digits in lower case")
    return found


async def require_own(registry: Registry, caller: Caller, subject: str | None) -> None:
    """Raise DeniedError where a person asks about someone else who is not their child."""
    if subject is None or subject == caller.subject:
        return
    if not await registry.store.read(subjects.answers_for, caller.subject, subject, registry.calendar.year):
        raise DeniedError(
            "these are another person's records; a person sees and changes their own, and a guardian their "
            "child's"
        )
