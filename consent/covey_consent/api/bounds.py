"""Bounds on what an address may be, before any route reads it. Bodies are bounded by `api.bodies`."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from covey_consent.api.problems import problem, slug
from covey_consent.errors import RequestError

NUL = problem(422, "the address holds a NUL, which no text may have; leave it out", slug(RequestError))


class Bounds:
    """Middleware: answers 422 to a NUL in the address."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] == "http" and ("\0" in scope["path"] or b"%00" in scope["query_string"]):
            await NUL(scope, receive, send)
        else:
            await self._app(scope, receive, send)
