"""Bounds on what a request may be, before any route reads it."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from covey_consent.api.http import BATCH, CBOR, JSON, ROSTER
from covey_consent.api.media import ZIP
from covey_consent.api.problems import problem, slug
from covey_consent.errors import RequestError
from covey_consent.rights.imports import LIMIT as EXPORT

BODILESS = ("GET", "HEAD")
"""No route reads a body with these."""

NUL = problem(422, "the address holds a NUL, which no text may have; leave it out", slug(RequestError))


class Bounds:
    """Middleware: answers 413 as soon as a body is longer than its media type may be, 422 to a NUL."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] == "http" and ("\0" in scope["path"] or b"%00" in scope["query_string"]):
            await NUL(scope, receive, send)
            return
        if scope["type"] != "http" or scope["method"] in BODILESS:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        limit = most(headers.get("content-type", ""))
        if _said(headers.get("content-length", "0")) > limit:
            await problem(413, _says(limit))(scope, receive, send)
        else:
            await self._app(scope, _bounded(receive, limit), send)


def most(content_type: str) -> int:
    """Return the bytes that a body may have; routes for CBOR bound it further, each its own."""
    if content_type.startswith(ZIP):
        return EXPORT
    return max(BATCH, ROSTER) if content_type.startswith(CBOR) else JSON


def _bounded(receive: Receive, limit: int) -> Receive:
    received = 0

    async def bounded() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise HTTPException(413, _says(limit))
        return message

    return bounded


def _said(content_length: str) -> float:
    short = content_length.isascii() and content_length.isdecimal() and len(content_length) < 20
    return int(content_length) if short else float("inf")


def _says(limit: int) -> str:
    return f"the body is longer than the {limit} bytes that are taken"
