"""What every route needs: the registry, a bounded body, CBOR answers."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from copy import copy
from typing import Annotated, Any, cast

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, APIRouter, request_response
from starlette.requests import ClientDisconnect

from covey_consent.access.authorization import Guard
from covey_consent.api import bodies, lean
from covey_consent.api.bodies import CBOR, JSON, MESSAGE, SET_REQUEST
from covey_consent.api.strict_json import StrictRequest
from covey_consent.registry import Registry
from covey_privacy import wire

__all__ = ["CBOR", "FOR_EVER", "JSON", "MESSAGE", "SET_REQUEST", "Here", "add_routes", "body", "cbor"]

FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}
"""Headers of a public answer that never changes."""


async def _registry(request: Request) -> Registry:
    return cast(Registry, request.app.state.registry)


Here = Annotated[Registry, Depends(_registry)]
"""The registry that serves this request."""


async def body(request: Request, limit: int = MESSAGE) -> bytes:
    """Return the request's body. Answers 413 as soon as it is longer than `limit` bytes."""
    received = bytearray()
    try:
        async for chunk in request.stream():
            received += chunk
            if len(received) > limit:
                raise bodies.too_long(limit)
    except ClientDisconnect:
        raise HTTPException(400, "the connection ended before the whole body came") from None
    return bytes(received)


def cbor(message: Any) -> Response:
    """Return the wire message as an answer."""
    return Response(wire.encode(message), media_type=CBOR)


def add_routes(app: FastAPI, router: APIRouter) -> None:
    """Add the routes as they are: `include_router` puts each together anew for every request."""
    for shared in router.routes:
        # Each application serves its own copy: the routers are shared by all that one process makes.
        route = copy(shared)
        if isinstance(route, APIRoute):
            route.operation_id = route.name
            if lean.is_lean(route):
                route.app = lean.serving(route)
            elif route.body_field is not None:
                route.app = request_response(_strictly(route.get_route_handler(), _guards(route.dependant)))
            if (taken := bodies.taken_by(route)) is not None:
                route.app = bodies.limited(route.app, taken)
        app.router.routes.append(route)


Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def _guards(plan: Dependant) -> list[Guard]:
    """Return the guards among what a route depends on."""
    own = [plan.call] if isinstance(plan.call, Guard) else []
    return own + [guard for needed in plan.dependencies for guard in _guards(needed)]


def _strictly(handle: Handler, guards: list[Guard]) -> Handler:
    async def strictly(received: Request) -> Response:
        request = StrictRequest(received.scope, received.receive)
        # FastAPI reads the body before it asks who sends it.
        for guard in guards:
            await guard(request)
        return await handle(request)

    return strictly
