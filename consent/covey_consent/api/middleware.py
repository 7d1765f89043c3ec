"""Middleware around every route: a check of the address, security headers, and counts of answers."""

from __future__ import annotations

import logging
import time
from typing import cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from covey_consent.api.problems import problem, slug, unforeseen
from covey_consent.errors import RequestError
from covey_consent.registry import Registry

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

CAREFUL = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
TRANSPORT = (b"strict-transport-security", b"max-age=31536000")

NUL = problem(422, "the address holds a NUL, which no text may have; leave it out", slug(RequestError))

log = logging.getLogger("covey.registry")


class AddressBounds:
    """Answers 422 to a NUL in the address, before any route reads it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        held = scope["type"] == "http" and ("\0" in scope["path"] or b"%00" in scope["query_string"])
        await (NUL if held else self._app)(scope, receive, send)


class CarefulHeaders:
    """Adds security headers; a header that an answer has already is kept.

    `https`: callers come over HTTPS alone.
    """

    def __init__(self, app: ASGIApp, https: bool) -> None:
        self._app = app
        self._headers = (*CAREFUL, TRANSPORT) if https else CAREFUL

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = message["headers"] = list(message.get("headers", ()))
                named = {name for name, _ in own}
                own += [header for header in self._headers if header[0] not in named]
            await send(message)

        await self._app(scope, receive, send_with_headers)


class RequestLogging:
    """Counts every answer by its route, and logs unexpected errors by the route's template.

    Only the middleware for headers is outside of it, so that it sees every answer.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request; answer 500 where that fails before an answer began."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        except Exception:
            log.exception("a request failed", extra=_operation(scope))
            if status:
                raise
            await unforeseen()(scope, receive, send_and_note)
        finally:
            operation, seconds = _operation(scope), time.perf_counter() - began
            cast(Registry, scope["app"].state.registry).metrics.answered(
                operation["method"], operation["route"], status, seconds
            )
            if log.isEnabledFor(logging.DEBUG):
                log.debug("answered", extra={**operation, "status": status, "ms": round(1000 * seconds, 1)})


def _operation(scope: Scope) -> dict[str, str]:
    """Return the method and the route's template, which names nobody."""
    method, route = scope["method"], scope.get("route")
    return {"method": method if method in METHODS else "other", "route": route.path if route else "none"}
