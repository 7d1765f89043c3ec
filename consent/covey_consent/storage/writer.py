"""The writer: the one thread through which everything that changes the database goes.

What arrives while one group is being committed is committed together, next: a busy registry waits for the
disk once for many. Nobody is answered before the COMMIT that holds their work.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.orm import Session

from covey_consent.storage.database import FAILURES, answering
from covey_consent.storage.outcome import Outcome, failed

T = TypeVar("T")

GROUP = 64
"""Pieces of work that one transaction holds at most."""

_AFTER = "covey_consent.storage.writer.after"


@dataclass(frozen=True, slots=True)
class _Write:
    work: Callable[[Session], Any]
    answer: Future[Any]


class Writer:
    """A thread that commits what it is given, in order and in groups; it calls `rest` after each group."""

    def __init__(self, engine: Engine, rest: Callable[[], None]) -> None:
        self._engine, self._rest = engine, rest
        self._thread = ThreadPoolExecutor(1, "registry-writer")
        self._waiting: deque[_Write] = deque()

    def submit(self, work: Callable[[Session], T]) -> Future[T]:
        """Queue the work; its future is done once it is committed. Raises RuntimeError after `close`."""
        answer: Future[T] = Future()
        self._waiting.append(_Write(work, answer))
        # One call for each piece of work: those whose piece went with an earlier group find nothing to do.
        self._thread.submit(self._commit)
        return answer

    def alone(self, work: Callable[[Engine], T]) -> Future[T]:
        """Queue what no transaction may hold: it runs between two of them."""
        return self._thread.submit(work, self._engine)

    def close(self) -> None:
        """Commit what is queued and end the thread."""
        self._thread.shutdown()

    def _commit(self) -> None:
        taken = [self._waiting.popleft() for _ in range(min(GROUP, len(self._waiting)))]
        group = [write for write in taken if write.answer.set_running_or_notify_cancel()]
        for write, outcome in zip(group, self._outcomes(group), strict=True):
            _settle(write.answer, outcome)
        if group:
            self._rest()

    def _outcomes(self, group: list[_Write]) -> list[Outcome[Any]]:
        """Commit the group; return what each of its works came to."""
        if not group:
            return []
        try:
            with self._engine.begin() as connection:
                return [_attempt(connection, write.work) for write in group]
        except BaseException as error:  # noqa: BLE001  whoever waits has to hear of it
            return [failed(error)] * len(group)


def after_commit(session: Session, call: Callable[[], None]) -> None:
    """Have the writer make this call once the session's work is committed, before it is acknowledged.

    The work is acknowledged with the call's error where it raises one.
    """
    session.info.setdefault(_AFTER, []).append(call)


def _attempt(connection: Connection, work: Callable[[Session], T]) -> Outcome[T]:
    """Do the work within a savepoint of its own: what raises is undone alone."""
    session = Session(connection, join_transaction_mode="create_savepoint", expire_on_commit=False)
    try:
        with session, session.begin():
            result = work(session)
    except FAILURES:
        # The database failed, not the work: it may have undone the others' too, so nobody's can stand.
        raise
    except BaseException as error:  # noqa: BLE001  whoever waits has to hear of it
        return failed(error)
    return partial(_finish, session.info.get(_AFTER, ()), result)


def _finish(calls: list[Callable[[], None]], result: T) -> T:
    for call in calls:
        call()
    return result


def _settle(answer: Future[T], outcome: Outcome[T]) -> None:
    try:
        with answering():
            result = outcome()
        answer.set_result(result)
    except BaseException as error:  # noqa: BLE001  whoever waits has to hear of it
        answer.set_exception(error)
