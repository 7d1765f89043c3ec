"""Request bodies with bounds: bytes of one, bytes of all together, and time to arrive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

MOST_HELD = 2**29
"""Bytes of all bodies that are being read or answered: anyone may send one, and memory is shared."""
SECONDS = 120.0
"""How long a body may take to arrive."""


class Bodies:
    """Reads bodies, and counts what is held of them. For one event loop."""

    def __init__(self, most_held: int = MOST_HELD) -> None:
        self._most, self._held = most_held, 0

    @asynccontextmanager
    async def read(self, request: Request, limit: int) -> AsyncIterator[bytes]:
        """Give the body, which counts as held until the block ends.

        Raises:
            HTTPException: 413 once it is longer than `limit` bytes, 503 where too much is held of all
                together, 408 where it takes too long, 400 where the connection ends before.
        """
        received = bytearray()
        try:
            await self._receive(request, limit, received)
            yield bytes(received)
        finally:
            self._held -= len(received)

    async def _receive(self, request: Request, limit: int, received: bytearray) -> None:
        try:
            async with asyncio.timeout(SECONDS):
                async for chunk in request.stream():
                    received += chunk
                    self._held += len(chunk)
                    if len(received) > limit:
                        raise HTTPException(
                            413, f"the body is too large; at most {limit} bytes are taken here"
                        )
                    if self._held > self._most:
                        raise HTTPException(503, "too many large requests at once; try again in a minute")
        except TimeoutError:
            raise HTTPException(408, f"the body did not arrive within {SECONDS:.0f} seconds") from None
        except ClientDisconnect:
            raise HTTPException(400, "the connection ended before the whole body came") from None
