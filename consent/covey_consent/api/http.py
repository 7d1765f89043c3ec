"""What the routes share: the registry as a dependency, bounded bodies, strict JSON, CBOR answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Iterator, Mapping
from copy import copy
from json import JSONDecodeError
from typing import Annotated, Any, cast

import orjson
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, APIRouter, request_response
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

from covey_consent.api.authorization import Guard
from covey_consent.api.media import CBOR, JSON, TAKEN, Taken
from covey_consent.api.request_limits import limited, too_long
from covey_consent.registry import Registry
from covey_privacy import wire

FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}
"""Headers of a public answer that never changes."""

_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""A NUL as JSON writes it, and not a backslash before `u0000`."""


async def _registry(request: Request) -> Registry:
    return cast(Registry, request.app.state.registry)


RegistryDep = Annotated[Registry, Depends(_registry)]
"""The registry that serves this request."""


class StrictRequest(Request):
    """A request whose JSON is RFC 8259's: UTF-8 without halves of characters, no NaN, and not too deep.

    Nor is there a NUL in its texts: not every database takes one.
    """

    async def json(self) -> Any:
        """Return the body. Raises json.JSONDecodeError."""
        received = await self.body()
        if b"\\u0000" in received and (found := _NUL.search(received)):
            raise JSONDecodeError("a text holds a NUL; leave it out", "", found.start())
        return orjson.loads(received)


async def body(request: Request, limit: int | None = None) -> bytes:
    """Return the request's body, answering 413 as soon as it is longer than `limit` bytes.

    The limit is by default that of the operation in `TAKEN`.
    """
    limit = TAKEN[request.scope["route"].name].limit if limit is None else limit
    received = bytearray()
    try:
        async for chunk in request.stream():
            received += chunk
            if len(received) > limit:
                raise too_long(limit)
    except ClientDisconnect:
        raise HTTPException(400, "the connection ended before the whole body came") from None
    return bytes(received)


def cbor(message: Any) -> Response:
    """Return the wire message as an answer."""
    return Response(wire.encode(message), media_type=CBOR)


def add_routes(
    app: FastAPI, router: APIRouter, direct: Mapping[str, Callable[[ASGIApp], ASGIApp]] | None = None
) -> None:
    """Add the router's routes to the application, with limits on their bodies.

    `include_router` would resolve each route anew for every request. `direct` wraps operations, by name, in
    applications that serve them in front of FastAPI.
    """
    for shared in router.routes:
        # Each application serves its own copy: the routers are shared by all that one process makes.
        route = copy(shared)
        if isinstance(route, APIRoute):
            route.operation_id = route.name
            taken = TAKEN.get(route.name)
            if route.body_field is not None:
                taken = Taken("", JSON, "application/json")
                route.app = request_response(
                    _strictly(route.get_route_handler(), [*_guards(route.dependant)])
                )
            if direct and route.name in direct:
                route.app = direct[route.name](route.app)
            if taken is not None:
                route.app = limited(route.app, taken)
        app.router.routes.append(route)


Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def _guards(plan: Dependant) -> Iterator[Guard]:
    """Yield the guards among a route's dependencies."""
    if isinstance(plan.call, Guard):
        yield plan.call
    for needed in plan.dependencies:
        yield from _guards(needed)


def _strictly(handle: Handler, guards: list[Guard]) -> Handler:
    async def strictly(received: Request) -> Response:
        request = StrictRequest(received.scope, received.receive)
        # FastAPI reads the body before it asks who sends it.
        for guard in guards:
            await guard(request)
        return await handle(request)

    return strictly
