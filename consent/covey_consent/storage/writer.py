"""The writer: the one thread through which everything that changes the database goes.

Work that arrives while one group is being committed is committed together, next: a busy registry waits for
the disk once for many. No caller is answered before the COMMIT that holds its work.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.orm import Session

from covey_consent.storage.database import FAILURES, answering

T = TypeVar("T")

GROUP = 64
"""Pieces of work that one transaction holds at most."""

Calls = Sequence[Callable[[], None]]

_AFTER = "covey_consent.storage.writer.after"


class _Write(NamedTuple):
    work: Callable[[Session], Any]
    future: Future[Any]


class Writer:
    """A thread that commits what it is given, in order and in groups."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._thread = ThreadPoolExecutor(1, "registry-writer")
        self._waiting: deque[_Write] = deque()

    def submit(self, work: Callable[[Session], T]) -> Future[T]:
        """Queue the work; its future is done once it is committed. Raises RuntimeError after `close`."""
        future: Future[T] = Future()
        self._waiting.append(_Write(work, future))
        # One call for each piece of work: those whose piece went with an earlier group find nothing to do.
        self._thread.submit(self._commit)
        return future

    def alone(self, work: Callable[[Engine], T]) -> Future[T]:
        """Queue work that no transaction may hold: it runs between two of them."""
        return self._thread.submit(work, self._engine)

    def close(self) -> None:
        """Commit what is queued and end the thread."""
        self._thread.shutdown()

    def _commit(self) -> None:
        taken = [self._waiting.popleft() for _ in range(min(GROUP, len(self._waiting)))]
        group = [write for write in taken if write.future.set_running_or_notify_cancel()]
        if not group:
            return
        try:
            with self._engine.begin() as connection:
                outcomes = [_attempt(connection, write.work) for write in group]
        except BaseException as error:  # noqa: BLE001  passed to the waiting thread
            failed: Future[Any] = Future()
            failed.set_exception(error)
            outcomes = [failed] * len(group)
        for write, outcome in zip(group, outcomes, strict=True):
            _settle(write.future, outcome)


def after_commit(session: Session, call: Callable[[], None]) -> None:
    """Have the writer make this call once the session's work is committed, before it is acknowledged.

    The work is acknowledged with the call's error where it raises one.
    """
    session.info.setdefault(_AFTER, []).append(call)


def _attempt(connection: Connection, work: Callable[[Session], T]) -> Future[tuple[T, Calls]]:
    """Do the work within a savepoint of its own, so that its error undoes it alone.

    Returns its result with the calls to make after the commit, or its error.
    """
    outcome: Future[tuple[T, Calls]] = Future()
    session = Session(connection, join_transaction_mode="create_savepoint", expire_on_commit=False)
    try:
        with session, session.begin():
            result = work(session)
        outcome.set_result((result, session.info.get(_AFTER, ())))
    except FAILURES:
        # The database failed, not the work: it may have undone the other work too, so that all of it fails.
        raise
    except BaseException as error:  # noqa: BLE001  passed to the waiting thread
        outcome.set_exception(error)
    return outcome


def _settle(future: Future[T], outcome: Future[tuple[T, Calls]]) -> None:
    try:
        with answering():
            result, calls = outcome.result()
            for call in calls:
                call()
        future.set_result(result)
    except BaseException as error:  # noqa: BLE001  passed to the waiting thread
        future.set_exception(error)
