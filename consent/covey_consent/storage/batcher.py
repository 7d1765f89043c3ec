"""Batches concurrent requests into one piece of work on the database.

The writer commits concurrent work together, but each piece has its own queries and savepoint. One unit of
work for many requests records 834 durable decisions a second instead of 112, and looks up 3,615 uncached
people instead of 578 (wrk with 64 and 32 connections on two shared cores, median of 5).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

from sqlalchemy.orm import Session

from covey_consent.errors import ConsentRegistryError

T = TypeVar("T")
R = TypeVar("R")

LIMIT = 256
"""Requests in one batch at most."""

IDLE_ITERATIONS = 8
"""Idle event-loop iterations before a batch closes."""

PATIENCE_SECONDS = 0.02
"""How long a batch stays open at most: on a busy loop, every iteration brings further requests."""


class Batcher(Generic[T, R]):
    """Collects requests while the last batch is being worked on; `work` returns each one's result or error.

    Closing a batch too early makes the event loop and the database's thread contend for the GIL, so a batch
    stays open while iterations of the loop bring further requests.

    Args:
        run: `Store.write` or `Store.read`.
        work: takes a session and the requests, and returns a result or an error for each.
        clock: gives seconds.
    """

    def __init__(
        self,
        run: Callable[..., Awaitable[Any]],
        work: Callable[[Session, Sequence[T]], Sequence[R | ConsentRegistryError]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run, self._work, self._clock = run, work, clock
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._task: asyncio.Task[None] | None = None

    async def submit(self, request: T) -> R:
        """Return the result for this request, once its batch is done. Raises its own error alone."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, future))
        if self._task is None:
            self._task = asyncio.create_task(self._work_off())
        return await future

    async def _work_off(self) -> None:
        try:
            while self._waiting:
                await self._fill()
                batch, self._waiting = self._waiting[:LIMIT], self._waiting[LIMIT:]
                await self._execute(batch)
        finally:
            self._task = None

    async def _fill(self) -> None:
        """Wait while iterations of the event loop bring further requests, up to a batch's."""
        known, idle, end = 0, 0, self._clock() + PATIENCE_SECONDS
        while idle < IDLE_ITERATIONS and len(self._waiting) < LIMIT and self._clock() < end:
            idle = idle + 1 if known == len(self._waiting) else 0
            known = len(self._waiting)
            await asyncio.sleep(0)

    async def _execute(self, batch: Sequence[tuple[T, asyncio.Future[R]]]) -> None:
        try:
            results = await self._run(self._work, [request for request, _ in batch])
            pairs = [*zip(batch, results, strict=True)]
        except asyncio.CancelledError:
            for _, future in batch:
                future.cancel()
            raise
        except BaseException as error:  # noqa: BLE001  a panic in an extension is no Exception, and they wait
            pairs = [(one, error) for one in batch]
        for (_, future), result in pairs:
            if future.done():
                continue
            if isinstance(result, BaseException):
                future.set_exception(result)
            else:
                future.set_result(result)
