"""What every route needs: the registry, a bounded body, CBOR answers."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, cast

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.routing import APIRoute, APIRouter, request_response

from covey_consent.api import lean
from covey_consent.api.strict import StrictRequest
from covey_consent.registry import Registry
from covey_privacy import wire
from covey_privacy.tiles import ENTRY_LIMIT

CBOR = "application/cbor"

MESSAGE = ENTRY_LIMIT - 1
"""A message's bytes at most: it fits into the log with its kind byte."""
BATCH = 16 * 2**20
JSON = 2**20
"""A JSON body's bytes at most, and those of any body that is not CBOR."""
ROSTER = wire.MESSAGE_LIMIT


async def _registry(request: Request) -> Registry:
    return cast(Registry, request.app.state.registry)


Here = Annotated[Registry, Depends(_registry)]
"""The registry that serves this request."""


async def body(request: Request, limit: int = MESSAGE) -> bytes:
    """Return the request's body. Answers 413 as soon as it is longer than `limit` bytes."""
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > limit:
            raise HTTPException(413, f"the body is longer than the {limit} bytes that this route takes")
    return bytes(received)


def cbor(message: Any) -> Response:
    """Return the wire message as an answer."""
    return Response(wire.encode(message), media_type=CBOR)


def add_routes(app: FastAPI, router: APIRouter) -> None:
    """Add the routes as they are: `include_router` puts each together anew for every request."""
    for route in router.routes:
        if isinstance(route, APIRoute):
            route.operation_id = route.name
            if lean.is_lean(route):
                route.app = lean.serving(route)
            elif route.body_field is not None:
                route.app = request_response(_strictly(route.get_route_handler()))
        app.router.routes.append(route)


Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def _strictly(handle: Handler) -> Handler:
    async def strictly(request: Request) -> Response:
        return await handle(StrictRequest(request.scope, request.receive))

    return strictly
