"""A pool: what many ask for at the same time is done as one piece of work.

The event loop and the store's threads share one interpreter: a group that is taken while others still come in
has two run at once, and each wait for the other at every step. A commit that waits for the disk leaves it
free: answers are made then.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from sqlalchemy.orm import Session

from covey_consent.errors import ConsentRegistryError
from covey_consent.storage.outcome import Outcome, failed, gave

T = TypeVar("T")
R = TypeVar("R")
A = TypeVar("A")

LIMIT = 256
"""Wishes that one piece of work takes at most."""

QUIET = 8
"""Turns of the loop that bring nobody: after so many, nobody more is waited for."""

PATIENCE_SECONDS = 0.02
"""How long others are waited for at most. On a busy loop, turns are long and always bring somebody."""

_Outcomes: TypeAlias = asyncio.Future[Sequence[Outcome[Any]]]
"""What a group's wishes came to, once their answers are made."""


class _Asked(NamedTuple):
    """A wish, what makes its answer of what it is granted, and who waits for that."""

    wish: Any
    ready: Callable[[Any], Any]
    outcome: asyncio.Future[Outcome[Any]]


class Pool(Generic[T, R]):
    """Wishes that wait while the last piece of work is being done; `work` grants or refuses each.

    `do` is `Store.write` or `Store.read`, `clock` gives seconds.
    """

    def __init__(
        self,
        do: Callable[..., Awaitable[Any]],
        work: Callable[[Session, Sequence[T]], Sequence[R | ConsentRegistryError]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._do, self._work, self._clock = do, work, clock
        self._waiting: list[_Asked] = []
        self._emptying: asyncio.Task[None] | None = None

    async def submit(self, wish: T) -> R:
        """Return what the work gives for this wish, once it is done. Raises its own error alone."""
        return await self.answer(wish, _as_it_is)

    async def answer(self, wish: T, ready: Callable[[R], A]) -> A:
        """Do as `submit`, and return what `ready` makes of it.

        That is called while the work may not be committed yet: it tells nobody, and relies on no commit.
        """
        asked = _Asked(wish, ready, asyncio.get_running_loop().create_future())
        self._waiting.append(asked)
        if self._emptying is None:
            self._emptying = asyncio.create_task(self._empty())
        outcome = await asked.outcome
        answer: A = outcome()
        return answer

    async def _empty(self) -> None:
        try:
            while self._waiting:
                await self._gather()
                taken, self._waiting = self._waiting[:LIMIT], self._waiting[LIMIT:]
                await self._grant(taken)
        finally:
            self._emptying = None

    async def _gather(self) -> None:
        """Wait while the loop's turns bring further wishes, up to a group's."""
        known, quiet, end = 0, 0, self._clock() + PATIENCE_SECONDS
        while quiet < QUIET and len(self._waiting) < LIMIT and self._clock() < end:
            quiet = quiet + 1 if known == len(self._waiting) else 0
            known = len(self._waiting)
            await asyncio.sleep(0)

    async def _grant(self, taken: Sequence[_Asked]) -> None:
        made: _Outcomes = asyncio.get_running_loop().create_future()
        outcomes: Sequence[Outcome[Any]]
        try:
            await self._do(self._work_on, taken, made)
            outcomes = await made
        except asyncio.CancelledError:
            for asked in taken:
                asked.outcome.cancel()
            raise
        except BaseException as error:  # noqa: BLE001  a panic in an extension is no Exception, and they wait
            outcomes = [failed(error)] * len(taken)
        for asked, outcome in zip(taken, outcomes, strict=True):
            if not asked.outcome.cancelled():
                asked.outcome.set_result(outcome)

    def _work_on(self, session: Session, taken: Sequence[_Asked], made: _Outcomes) -> None:
        """Work in the store's thread; the loop makes the answers while that thread commits."""
        given = self._work(session, [asked.wish for asked in taken])
        each = [*zip(taken, given, strict=True)]
        made.get_loop().call_soon_threadsafe(_make_all, each, made)


def _make_all(each: Iterable[tuple[_Asked, Any]], made: _Outcomes) -> None:
    made.set_result([_make(asked, given) for asked, given in each])


def _make(asked: _Asked, given: Any) -> Outcome[Any]:
    if isinstance(given, ConsentRegistryError):
        return failed(given)
    try:
        return gave(asked.ready(given))
    except BaseException as error:  # noqa: BLE001  raised here it would reach nobody, and the whole group waits
        return failed(error)


def _as_it_is(given: R) -> R:
    return given
