"""The guard: a route names the roles that may ask, and gets who asked."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Header

from covey_consent.access.roles import Caller, Role
from covey_consent.api.http import Here
from covey_consent.errors import DeniedError, UnauthenticatedError

_BEARER = "Bearer "


def needs(*roles: Role) -> Any:
    """Return the dependency that gives the `Caller` where one of the roles asks."""

    async def caller(here: Here, authorization: Annotated[str, Header()] = "") -> Caller:
        if not authorization.startswith(_BEARER):
            raise UnauthenticatedError("an access token is needed: Authorization: Bearer <token>")
        found = here.tokens.open(authorization.removeprefix(_BEARER), here.calendar.now)
        if found.role not in roles:
            raise DeniedError(f"this needs the role {' or '.join(sorted(roles))}; the token has {found.role}")
        return found

    return Depends(caller)
