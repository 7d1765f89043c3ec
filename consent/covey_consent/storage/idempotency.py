"""Idempotency: a request with a key has its effect once, and its answer as often as it is sent again.

The answer is kept in the transaction of its effect: after a crash there are both or neither. It is sealed,
for it can hold what is shown once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVarTuple

from sqlalchemy import Integer, delete
from sqlalchemy.orm import Mapped, Session, mapped_column

from covey_consent.access.roles import Caller
from covey_consent.errors import ConflictError, RequestError
from covey_consent.storage.models import Base
from covey_consent.storage.store import Store
from covey_consent.storage.vault import Sealer

KEEP_SECONDS = 86_400

Args = TypeVarTuple("Args")


class KeptAnswer(Base):
    """The answer to a request with a key; `expires_at` in Unix seconds. `key` and `request` are digests.

    `subject` is the person whom it is about: it is erased with them.
    """

    __tablename__ = "idempotent_answers"

    key: Mapped[bytes] = mapped_column(primary_key=True)
    request: Mapped[bytes]
    subject: Mapped[str | None] = mapped_column(index=True)
    status: Mapped[int] = mapped_column(Integer)
    body: Mapped[bytes]
    expires_at: Mapped[int] = mapped_column(index=True)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request with a key: who asks, on which route, with which body."""

    caller: Caller
    route: str
    key: str
    body: bytes

    @property
    def digest(self) -> bytes:
        """The key as it is kept: two callers' keys, and two routes', are different ones.

        Two tokens of one role and name are two callers, unless both are bound to one key.
        """
        caller = self.caller
        parts = (caller.role, caller.name, caller.subject or "", caller.credential, self.route, self.key)
        return hashlib.sha256(json.dumps(parts).encode()).digest()


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer: its body, the person whom it is about, and whether it was given before."""

    body: bytes
    subject: str | None = None
    status: int = 201
    again: bool = False


class Write(Protocol):
    """`Store.write`, or `Log.write` where the work may append to the log."""

    def __call__(self, work: Callable[..., Any], *args: Any) -> Awaitable[Any]:
        """Return the work's result once it is committed."""
        ...


class Answers:
    """Answers requests with a key once; `sealer` seals what is kept.

    Nothing that was kept is deleted while `distrusted` says why the clock is not to be trusted.
    """

    def __init__(self, store: Store, sealer: Sealer, distrusted: Callable[[], str] = str) -> None:
        self._store, self._sealer, self._distrusted = store, sealer, distrusted
        self._in_flight: set[bytes] = set()

    async def once(
        self,
        asked: Asked,
        now: int,
        work: Callable[[Session, *Args], Answer],
        *args: *Args,
        write: Write | None = None,
    ) -> Answer:
        """Return what the work answers, or answered first; `now` in Unix seconds.

        Raises ConflictError while the first is being answered, RequestError where the body is another.
        """
        digest = asked.digest
        if digest in self._in_flight:
            raise ConflictError("a request with this Idempotency-Key is being answered; wait, and ask again")
        self._in_flight.add(digest)
        try:
            answer: Answer = await (write or self._store.write)(self._once, asked, now, work, args)
        finally:
            self._in_flight.discard(digest)
        return answer

    def _once(
        self, session: Session, asked: Asked, now: int, work: Callable[[Session, *Args], Answer],
        args: tuple[*Args],
    ) -> Answer:  # fmt: skip
        if not self._distrusted():
            forget(session, now)
        request = hashlib.sha256(asked.body).digest()
        kept = session.get(KeptAnswer, asked.digest)
        if kept is None:
            answer = work(session, *args)
            session.add(self._kept(asked, request, answer, now))
            return answer
        if kept.request != request:
            raise RequestError(
                "this Idempotency-Key came with another body before; take a new one for each request"
            )
        body = self._sealer.unseal(kept.body, kept.key)
        return Answer(body, kept.subject, kept.status, again=True)

    def _kept(self, asked: Asked, request: bytes, answer: Answer, now: int) -> KeptAnswer:
        return KeptAnswer(
            key=asked.digest, request=request, subject=answer.subject or asked.caller.subject,
            status=answer.status, body=self._sealer.seal(answer.body, asked.digest),
            expires_at=now + KEEP_SECONDS,
        )  # fmt: skip


def forget(session: Session, now: int) -> None:
    """Delete the answers that are kept no longer at `now` (Unix seconds)."""
    session.execute(delete(KeptAnswer).where(KeptAnswer.expires_at <= now))
