"""Traffic: every answer is counted by its route, and what failed unforeseen is logged, by nobody's name."""

from __future__ import annotations

import logging
import time
from typing import cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from covey_consent.api.problems import unforeseen
from covey_consent.registry import Registry

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

log = logging.getLogger("covey.registry")


class Traffic:
    """Middleware: the outermost, so that it sees every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request; answer 500 where that fails before an answer began."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0

        async def seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, seen)
        except Exception:
            log.exception("a request failed", extra={"method": _method(scope), "route": _route(scope)})
            if status:
                raise
            await unforeseen()(scope, receive, seen)
        finally:
            _count(scope, status, time.perf_counter() - began)


def _count(scope: Scope, status: int, seconds: float) -> None:
    here = cast(Registry, scope["app"].state.registry)
    method, route = _method(scope), _route(scope)
    here.metrics.answered(method, route, status, seconds)
    if log.isEnabledFor(logging.DEBUG):
        ms = round(1000 * seconds, 1)
        log.debug("answered", extra={"method": method, "route": route, "status": status, "ms": ms})


def _route(scope: Scope) -> str:
    """Return the route's template: a path could name someone."""
    route = scope.get("route")
    return "none" if route is None else route.path


def _method(scope: Scope) -> str:
    return scope["method"] if scope["method"] in METHODS else "other"
