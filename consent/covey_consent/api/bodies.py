"""Limits on request bodies: each route takes one media type and so many bytes, and reads nothing before that.

- Another media type is answered 415, a longer body 413, from the headers where they say so.
- A route for JSON authenticates its caller before it reads the body (`api.http` and `api.lean` see to it).
- Routes for signed messages find the sender inside the body. What they buffer of long bodies is bounded in
  all by `UNAUTHENTICATED_BYTES`; beyond that the answer is 503.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from covey_consent.access.authorization import CALLER
from covey_consent.errors import UnavailableError
from covey_consent.rights.imports import LIMIT as EXPORT
from covey_privacy import wire
from covey_privacy.tiles import ENTRY_LIMIT

CBOR = "application/cbor"

MESSAGE = ENTRY_LIMIT - 1
"""A message's bytes at most: it fits into the log with its kind byte."""
ENROLMENTS = 2**20
"""A batch of enrolments: about 5,000 devices, each some 200 bytes."""
DECISIONS = 4 * 2**20
"""A batch of decisions: about 15,000, each some 250 bytes."""
JSON = 2**20
"""A JSON body's bytes at most."""
SET_REQUEST = wire.MESSAGE_LIMIT
"""A set's bytes at most; the route takes no more than the round's terms need."""

OFFER = 4096
"""A volunteer's or a retracting phone's message: about 500 bytes."""

UNAUTHENTICATED_BYTES = 64 * 2**20
SMALL = 64 * 1024
"""Bytes of a body that do not count to `UNAUTHENTICATED_BYTES`: the number of connections bounds them."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The one media type that a route takes, and how many bytes of it."""

    media_type: str
    limit: int

    def is_type(self, content_type: str) -> bool:
        """Say whether a Content-Type header names this type; for JSON, also one that ends with `+json`."""
        sent = content_type.partition(";")[0].strip().lower()
        if self.media_type == "application/json" and sent.startswith("application/"):
            return sent == self.media_type or sent.endswith("+json")
        return sent == self.media_type


MESSAGES: Mapping[str, Taken] = {
    "enrol": Taken(CBOR, ENROLMENTS),
    "take_decisions": Taken(CBOR, DECISIONS),
    "sync": Taken(CBOR, MESSAGE),
    "issue": Taken(CBOR, MESSAGE),
    "announce": Taken(CBOR, MESSAGE),
    "conclude": Taken(CBOR, MESSAGE),
    "volunteer": Taken(CBOR, OFFER),
    "retract": Taken(CBOR, OFFER),
    "sign_roster": Taken(CBOR, OFFER),
    "draw": Taken(CBOR, OFFER),
    "include": Taken(CBOR, SET_REQUEST),
    "grant_dispute": Taken(CBOR, MESSAGE),
    "finalise": Taken(CBOR, SET_REQUEST),
    "import_person": Taken("application/zip", EXPORT),
}
"""What the operations take that take no JSON."""


class Budget:
    """Bytes of long bodies in memory whose sender is not known yet."""

    def __init__(self, limit: int) -> None:
        self._limit, self._held = limit, 0

    def take(self, count: int) -> None:
        """Count bytes as held. Raises UnavailableError where they are too many together."""
        if self._held + count > self._limit:
            raise UnavailableError("too many long bodies arrive at once; send this again in a few seconds")
        self._held += count

    def give_back(self, count: int) -> None:
        """Count bytes as no longer held."""
        self._held -= count


_BUDGET = Budget(UNAUTHENTICATED_BYTES)


def taken_by(route: APIRoute) -> Taken | None:
    """Return what a route takes, None where it reads no body."""
    if route.body_field is not None:
        return Taken("application/json", JSON)
    return MESSAGES.get(route.name)


def limited(app: ASGIApp, taken: Taken, budget: Budget = _BUDGET) -> ASGIApp:
    """Return the application with the limits on the bodies that it takes."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        length = headers.get("content-length")
        if length != "0" and (length is not None or "transfer-encoding" in headers):
            if length is not None and _said(length) > taken.limit:
                raise too_long(taken.limit)
            if not taken.is_type(headers.get("content-type", "")):
                raise HTTPException(415, f"this route takes a body of type {taken.media_type} and no other")
        body = _Received(scope, receive, taken.limit, budget)
        try:
            await app(scope, body.receive, send)
        finally:
            body.release()

    return serve


def too_long(limit: int) -> HTTPException:
    """Return the problem of a body that is longer than `limit` bytes."""
    return HTTPException(413, f"the body is longer than the {limit} bytes that are taken")


class _Received:
    """What was received of one request's body."""

    def __init__(self, scope: Scope, receive: Receive, limit: int, budget: Budget) -> None:
        self._scope, self._receive, self._limit, self._budget = scope, receive, limit, budget
        self._count = self._counted = 0

    async def receive(self) -> Message:
        message = await self._receive()
        self._count += len(message.get("body", b""))
        if self._count > self._limit:
            raise too_long(self._limit)
        if self._count > SMALL and CALLER not in self._scope:
            self._budget.take(self._count - self._counted)
            self._counted = self._count
        return message

    def release(self) -> None:
        self._budget.give_back(self._counted)


def _said(content_length: str) -> float:
    short = content_length.isascii() and content_length.isdecimal() and len(content_length) < 20
    return int(content_length) if short else float("inf")
