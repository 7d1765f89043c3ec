"""The decryptor over HTTP: CBOR requests and answers, RFC 9457 problems, a page and its JSON.

POST /v1/seats                    SeatRequest -> Seat
POST /v1/rounds/{digest}/check    CommitteeCheck -> Complaints
POST /v1/rounds/{digest}/open     OpenRequest -> Opening
GET  /, /log.json                 what this decryptor did, to read and for programs
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from covey_privacy.errors import MisuseError, PeerError, PrivacyError, ServerError
from covey_privacy.protocol_rules import Rule
from covey_server.decryptor import page
from covey_server.decryptor.bodies import Bodies
from covey_server.decryptor.errors import DecryptorError
from covey_server.decryptor.messages import OPEN_LIMIT, SEAT_LIMIT
from covey_server.decryptor.service import DecryptorService

CBOR = "application/cbor"
PROBLEM = "application/problem+json"
EXPIRY_SECONDS = 1.0
"""How often windows that have closed are looked for."""

_CONFLICTS = frozenset({Rule.STEP_ONCE, Rule.STEP_ORDER})
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_log = logging.getLogger(__name__)


def create_app(service: DecryptorService, bodies: Bodies | None = None) -> Starlette:
    """Return the application. Its lifespan erases secrets in time, and closes the service in the end."""
    bodies = bodies or Bodies()

    async def seat(request: Request) -> Response:
        async with bodies.read(request, SEAT_LIMIT) as body:
            return await _answer(service.seat, body)

    async def check(request: Request) -> Response:
        digest = _digest(request)
        limit = await run_in_threadpool(service.check_limit, digest)
        async with bodies.read(request, limit) as body:
            return await _answer(partial(service.check, digest), body)

    async def open_sum(request: Request) -> Response:
        digest = _digest(request)
        async with bodies.read(request, OPEN_LIMIT) as body:
            return await _answer(partial(service.open, digest), body)

    async def show(request: Request) -> Response:
        language = page.language(request.query_params.get("lang"), request.headers.get("accept-language"))
        html = await run_in_threadpool(lambda: page.render(page.report(service, page.SHOWN), language))
        return HTMLResponse(html, headers={**_HEADERS, "Content-Language": language})

    async def show_log(_: Request) -> Response:
        found = await run_in_threadpool(page.report, service, page.LISTED)
        return JSONResponse(found, headers=_HEADERS)

    return Starlette(
        routes=[
            Route("/v1/seats", seat, methods=["POST"]),
            Route("/v1/rounds/{digest}/check", check, methods=["POST"]),
            Route("/v1/rounds/{digest}/open", open_sum, methods=["POST"]),
            Route("/", show),
            Route("/log.json", show_log),
        ],
        exception_handlers={
            HTTPException: _http,
            PrivacyError: _privacy,
            DecryptorError: _decryptor,
            sqlite3.Error: _state,
            Exception: _unforeseen,
        },
        lifespan=_lifespan(service),
    )


def _lifespan(service: DecryptorService) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        timer = asyncio.create_task(_expire(service))
        try:
            yield
        finally:
            timer.cancel()
            service.close()

    return lifespan


async def _expire(service: DecryptorService) -> None:
    while True:
        await asyncio.sleep(EXPIRY_SECONDS)
        try:
            await asyncio.to_thread(service.expire)  # in a thread that no request waits for
        except Exception:  # noqa: BLE001  # without this timer keys would outlive their window
            _log.exception("windows that closed could not be looked for; it is tried again")


async def _answer(act: Callable[[bytes], bytes], body: bytes) -> Response:
    return Response(await run_in_threadpool(act, body), media_type=CBOR)


def _digest(request: Request) -> bytes:
    text = request.path_params["digest"]
    try:
        digest = bytes.fromhex(text)
    except ValueError:
        digest = b""
    if len(digest) != 32 or text != digest.hex():
        raise HTTPException(404, "the address names no manifest: its digest in 64 hex digits was expected")
    return digest


def _problem(status: int, detail: str, error: Exception | None = None, rule: str = "") -> JSONResponse:
    content: dict[str, object] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": " ".join(detail.encode("utf-8", "replace").decode().split()),
    }
    if error is not None:
        content["class"] = type(error).__name__
    if rule:
        content["rule"] = rule
    return JSONResponse(content, status, media_type=PROBLEM)


async def _privacy(request: Request, error: Exception) -> Response:
    assert isinstance(error, PrivacyError)  # noqa: S101  # Starlette calls a handler for its class alone
    malformed = isinstance(error, PeerError | MisuseError)
    status = 409 if error.rule in _CONFLICTS else 400 if malformed else 403
    if isinstance(error, ServerError):  # of a shop that is served; what strangers send is not logged
        _log.warning("refused %s (%s): %s", request.url.path, error.rule, " ".join(str(error).split()))
    return _problem(status, str(error), error, str(error.rule))


async def _decryptor(_: Request, error: Exception) -> Response:
    assert isinstance(error, DecryptorError)  # noqa: S101  # as above
    return _problem(error.status, str(error), error)


async def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  # as above
    return _problem(error.status_code, error.detail)


async def _state(_: Request, error: Exception) -> Response:
    _log.error("the state could not be used: %s", error)
    return _problem(503, "the decryptor's state cannot be written or read; its own log says why")


async def _unforeseen(_: Request, __: Exception) -> Response:
    return _problem(500, "this decryptor failed; its own log says why")
