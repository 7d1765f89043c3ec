"""Limits on request bodies: each route takes one media type and a number of bytes at most.

- Another media type is answered 415, a longer body 413, from the headers where they say so.
- A route for JSON authenticates its caller before it reads the body (see `api.http`).
- Routes for signed messages find the sender inside the body. What they buffer of long bodies is bounded in
  all by `UNAUTHENTICATED_BYTES`; beyond that the answer is 503.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from covey_consent.api.authorization import CALLER
from covey_consent.api.media import Taken
from covey_consent.errors import UnavailableError

UNAUTHENTICATED_BYTES = 64 * 2**20
SMALL = 64 * 1024
"""Bytes of a body that do not count to `UNAUTHENTICATED_BYTES`: the limit on connections bounds them."""


class Budget:
    """Counts the bytes of long bodies in memory whose sender is not authenticated yet."""

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


def limited(app: ASGIApp, taken: Taken, budget: Budget = _BUDGET) -> ASGIApp:
    """Return the application with the limits on the bodies that it takes."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        received = held = 0

        async def receive_limited() -> Message:
            nonlocal received, held
            message = await receive()
            received += len(message.get("body", b""))
            if received > taken.limit:
                raise too_long(taken.limit)
            if received > SMALL and CALLER not in scope:
                budget.take(received - held)
                held = received
            return message

        _require_taken(Headers(scope=scope), taken)
        try:
            await app(scope, receive_limited, send)
        finally:
            budget.give_back(held)

    return serve


def too_long(limit: int) -> HTTPException:
    """Return the problem of a body that is longer than `limit` bytes."""
    return HTTPException(413, f"the body is longer than the {limit} bytes that are taken")


def _require_taken(headers: Headers, taken: Taken) -> None:
    """Raise HTTPException where the headers say that the body is too long or of another type."""
    length = headers.get("content-length")
    if length == "0" or (length is None and "transfer-encoding" not in headers):
        return
    if length is not None:
        short = length.isascii() and length.isdecimal() and len(length) < 20
        if not short or int(length) > taken.limit:
            raise too_long(taken.limit)
    if not taken.is_type(headers.get("content-type", "")):
        raise HTTPException(415, f"this route takes a body of type {taken.media_type} and no other")
