"""The two busiest routes, served without FastAPI: its solving of dependencies is half of a lookup's CPU time.

FastAPI's route documents each and serves the rest: requests that have to be refused, and rare kinds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from pydantic import TypeAdapter
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from covey_consent.access.roles import Role
from covey_consent.api.consents import SPEAKER, Said, decide
from covey_consent.api.http import StrictRequest
from covey_consent.api.request_headers import Creation
from covey_consent.api.schemas import No, Yes
from covey_consent.api.verdicts import READER, verdict

_PSEUDONYM = re.compile("[0-9a-f]{32}")
_SAID: TypeAdapter[Yes | No] = TypeAdapter(Said)


def serve_verdict(fastapi_route: ASGIApp) -> ASGIApp:
    """Return an application that answers lookups of verdicts."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        request = StrictRequest(scope, receive)
        caller = await READER.dependency(request)
        subject, purpose = request.path_params["subject"], request.path_params["purpose"]
        if not _PSEUDONYM.fullmatch(subject):
            await fastapi_route(scope, receive, send)
            return
        answer = await verdict(subject, purpose, request.app.state.registry, caller)
        await answer(scope, receive, send)

    return serve


def serve_decision(fastapi_route: ASGIApp) -> ASGIApp:
    """Return an application that takes decisions without Idempotency-Key that are not an officer's."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        request = StrictRequest(scope, receive)
        caller = await SPEAKER.dependency(request)
        subject, registry = request.path_params["subject"], request.app.state.registry
        if (
            caller.role is Role.OFFICER
            or "idempotency-key" in request.headers
            or not _PSEUDONYM.fullmatch(subject)
        ):
            await fastapi_route(scope, receive, send)
            return

        async def receive_again() -> Message:
            return {"type": "http.request", "body": await request.body(), "more_body": False}

        try:
            said = _SAID.validate_python(await request.json())
        except ClientDisconnect:
            await fastapi_route(scope, receive, send)
        except ValueError:
            await fastapi_route(scope, receive_again, send)
        else:
            answer = await decide(subject, said, registry, caller, Creation(request), request)
            await answer(scope, receive, send)

    return serve


DIRECT: Mapping[str, Callable[[ASGIApp], ASGIApp]] = {"verdict": serve_verdict, "decide": serve_decision}
"""By an operation's name, what serves it in front of FastAPI's route."""
