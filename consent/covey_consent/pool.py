"""A pool: what many ask for at the same time is done as one piece of work.

The event loop and the store's threads share one interpreter: a group that is taken while others still come in
has two run at once, and each wait for the other at every step. A commit that waits for the disk leaves it
free: that is when answers are made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from sqlalchemy.orm import Session

from covey_consent.errors import ConsentRegistryError

T = TypeVar("T")
R = TypeVar("R")
A = TypeVar("A")

LIMIT = 256
"""Wishes that one piece of work takes at most."""

QUIET = 8
"""Turns of the loop that bring nobody: after so many, nobody more is waited for."""


_Made: TypeAlias = asyncio.Future[Sequence[Any]]
"""The answers of a group, once they are made."""


class _Asked(NamedTuple):
    """A wish, what makes its answer of what it is granted, and who waits for that."""

    wish: Any
    ready: Callable[[Any], Any]
    answer: asyncio.Future[Any]


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
        self._waiting: list[_Asked] = []
        self._emptying: asyncio.Task[None] | None = None

    async def submit(self, wish: T) -> R:
        """Return what the work gives for this wish, once it is done. Raises its own error alone."""
        return await self.answer(wish, _as_it_is)

    async def answer(self, wish: T, ready: Callable[[R], A]) -> A:
        """Do as `submit`, and return what `ready` makes of it: that is made before the work is committed."""
        answer: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Asked(wish, ready, answer))
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
        """Wait while the loop's turns bring further wishes, up to a group's."""
        known = quiet = 0
        while quiet < QUIET and len(self._waiting) < LIMIT:
            quiet = quiet + 1 if known == len(self._waiting) else 0
            known = len(self._waiting)
            await asyncio.sleep(0)

    async def _grant(self, taken: Sequence[_Asked]) -> None:
        answers: Sequence[Any]
        made: _Made = asyncio.get_running_loop().create_future()
        try:
            await self._do(self._work_on, taken, made)
            answers = await made
        except Exception as error:  # noqa: BLE001  whoever waits has to hear of it
            answers = [error] * len(taken)
        for asked, answer in zip(taken, answers, strict=True):
            if asked.answer.cancelled():
                continue
            if isinstance(answer, Exception):
                asked.answer.set_exception(answer)
            else:
                asked.answer.set_result(answer)

    def _work_on(self, session: Session, taken: Sequence[_Asked], made: _Made) -> None:
        """Work in the store's thread; the loop makes the answers while that thread commits."""
        given = self._work(session, [asked.wish for asked in taken])
        made.get_loop().call_soon_threadsafe(_make, taken, given, made)


def _make(taken: Sequence[_Asked], given: Sequence[Any], made: _Made) -> None:
    made.set_result([_made(asked, one) for asked, one in zip(taken, given, strict=True)])


def _made(asked: _Asked, given: Any) -> Any:
    try:
        return given if isinstance(given, ConsentRegistryError) else asked.ready(given)
    except Exception as error:  # noqa: BLE001  whoever waits has to hear of it
        return error


def _as_it_is(given: R) -> R:
    return given
