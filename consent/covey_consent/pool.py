"""A pool: what many ask for at the same time is done as one piece of work.

The event loop and the store's threads share one interpreter: a group that is taken while others still come in
has two run at once, and each wait for the other at every step.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

from sqlalchemy.orm import Session

from covey_consent.errors import ConsentRegistryError

T = TypeVar("T")
R = TypeVar("R")

LIMIT = 256
"""Wishes that one piece of work takes at most."""


class Pool(Generic[T, R]):
    """Wishes that wait while the last piece of work is being done; `work` grants or refuses each.

    `do` is `Store.write` or `Store.read`.
    """

    def __init__(
        self,
        do: Callable[..., Awaitable[Any]],
        work: Callable[[Session, Sequence[T]], Sequence[R | ConsentRegistryError]],
    ) -> None:
        self._do, self._work = do, work
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._emptying: asyncio.Task[None] | None = None

    async def submit(self, wish: T) -> R:
        """Return what the work gives for this wish, once it is done. Raises its own error alone."""
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((wish, answer))
        if self._emptying is None:
            self._emptying = asyncio.create_task(self._empty())
        return await answer

    async def _empty(self) -> None:
        while self._waiting:
            await self._gather()
            taken, self._waiting = self._waiting[:LIMIT], self._waiting[LIMIT:]
            await self._grant(taken)
        self._emptying = None

    async def _gather(self) -> None:
        """Wait while each turn of the loop brings further wishes, up to a group's."""
        known = 0
        while known < len(self._waiting) < LIMIT:
            known = len(self._waiting)
            await asyncio.sleep(0)

    async def _grant(self, taken: list[tuple[T, asyncio.Future[R]]]) -> None:
        outcomes: Sequence[R | Exception]
        try:
            outcomes = await self._do(self._work, [wish for wish, _ in taken])
        except Exception as error:  # noqa: BLE001  whoever waits has to hear of it
            outcomes = [error] * len(taken)
        for (_, answer), outcome in zip(taken, outcomes, strict=True):
            if answer.cancelled():
                continue
            if isinstance(outcome, Exception):
                answer.set_exception(outcome)
            else:
                answer.set_result(outcome)
