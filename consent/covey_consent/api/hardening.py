"""What holds for every request and answer: a bounded body, and headers that keep browsers careful."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from covey_consent.api.http import BATCH, CBOR, JSON, ROSTER
from covey_consent.api.problems import problem

HEADERS = (
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-store"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
)
"""Where an answer has one of its own, that stands."""

TRANSPORT = ("strict-transport-security", "max-age=31536000")

_BODILESS = ("GET", "HEAD")


class Hardening:
    """Middleware. `https`: callers come over HTTPS alone."""

    def __init__(self, app: ASGIApp, https: bool) -> None:
        self._app = app
        kept = (*HEADERS, TRANSPORT) if https else HEADERS
        self._headers = [(name.encode(), value.encode()) for name, value in kept]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def careful(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = message["headers"] = list(message.get("headers", ()))
                named = {name for name, _ in own}
                own += [header for header in self._headers if header[0] not in named]
            await send(message)

        if scope["method"] in _BODILESS:
            await self._app(scope, receive, careful)
        else:
            await self._bounded(scope, receive, careful)

    async def _bounded(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = MutableHeaders(scope=scope)
        limit = most(headers.get("content-type", ""))
        said = headers.get("content-length", "0")
        if not said.isdecimal() or int(said[:20]) > limit:
            await too_long(limit)(scope, receive, send)
            return
        received = 0

        async def bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise HTTPException(413, _says(limit))
            return message

        await self._app(scope, bounded, send)


def most(content_type: str) -> int:
    """Return the bytes that a body may have: routes for CBOR bound it further, each its own."""
    return max(BATCH, ROSTER) if content_type.startswith(CBOR) else JSON


def too_long(limit: int) -> ASGIApp:
    """Return the answer to a body that is longer."""
    return problem(413, _says(limit))


def _says(limit: int) -> str:
    return f"the body is longer than the {limit} bytes that are taken"
