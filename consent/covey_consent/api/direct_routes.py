"""The three busiest routes, served without FastAPI: its solving of dependencies is half of a lookup's CPU.

FastAPI's route documents each and serves the rest: requests that have to be refused, and rare kinds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

from pydantic import TypeAdapter
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from covey_consent.access.roles import Role
from covey_consent.api.consents import SPEAKER, Said, decide
from covey_consent.api.http import StrictRequest
from covey_consent.api.request_headers import Creation
from covey_consent.api.schemas import No, Yes
from covey_consent.api.verdicts import ASKER, READER, VerdictsRequest, verdict, verdicts

_PSEUDONYM = re.compile("[0-9a-f]{32}")
_SAID: TypeAdapter[Yes | No] = TypeAdapter(Said)
_ASKED: TypeAdapter[VerdictsRequest] = TypeAdapter(VerdictsRequest)

T = TypeVar("T")


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
        said = await _read_body(request, _SAID, fastapi_route, send)
        if said is not None:
            answer = await decide(subject, said, registry, caller, Creation(request), request)
            await answer(scope, receive, send)

    return serve


def serve_verdicts(fastapi_route: ASGIApp) -> ASGIApp:
    """Return an application that answers batches of verdicts."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        request = StrictRequest(scope, receive)
        caller = await ASKER.dependency(request)
        asked = await _read_body(request, _ASKED, fastapi_route, send)
        if asked is not None:
            answer = await verdicts(asked, request.app.state.registry, caller)
            await answer(scope, receive, send)

    return serve


async def _read_body(
    request: StrictRequest, shape: TypeAdapter[T], fastapi_route: ASGIApp, send: Send
) -> T | None:
    """Return what the JSON body says; None where it was refused, and FastAPI's route has answered."""

    async def receive_again() -> Message:
        return {"type": "http.request", "body": await request.body(), "more_body": False}

    try:
        return shape.validate_python(await request.json())
    except ClientDisconnect:
        await fastapi_route(request.scope, request.receive, send)
    except ValueError:
        await fastapi_route(request.scope, receive_again, send)
    return None


DIRECT: Mapping[str, Callable[[ASGIApp], ASGIApp]] = {
    "verdict": serve_verdict,
    "decide": serve_decision,
    "verdicts": serve_verdicts,
}
"""By an operation's name, what serves it in front of FastAPI's route."""
