"""Idempotency: a request with a key has its effect once; sent again, it gets the same answer.

The answer is kept in the transaction of its effect: after a crash there are both or neither. It is sealed,
for it can hold a secret that is shown once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVarTuple

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
class KeyedRequest:
    """A request with a key: its caller, route and body."""

    caller: Caller
    route: str
    key: str
    body: bytes

    @property
    def digest(self) -> bytes:
        """The digest of the key: keys of different callers or routes never collide.

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


Write = Callable[..., Awaitable[Any]]
"""`Store.write`, or `Log.write` where the work may append to the log."""


class Answers:
    """Answers requests with a key once; `sealer` seals the kept answers.

    Expired answers are not deleted while `distrusted` returns a reason why the clock is not trusted.
    """

    def __init__(self, store: Store, sealer: Sealer, distrusted: Callable[[], str] = str) -> None:
        self._store, self._sealer, self._distrusted = store, sealer, distrusted
        self._in_flight: set[bytes] = set()

    async def once(
        self,
        request: KeyedRequest,
        now: int,
        work: Callable[[Session, *Args], Answer],
        *args: *Args,
        write: Write | None = None,
    ) -> Answer:
        """Return what the work answers, or answered first; `now` in Unix seconds.

        Raises ConflictError while the first is being answered, RequestError where the body is another.
        """
        digest = request.digest
        if digest in self._in_flight:
            raise ConflictError("a request with this Idempotency-Key is being answered; wait, and ask again")
        self._in_flight.add(digest)
        try:
            answer: Answer = await (write or self._store.write)(self._once, request, now, work, args)
        finally:
            self._in_flight.discard(digest)
        return answer

    def _once(
        self,
        session: Session,
        request: KeyedRequest,
        now: int,
        work: Callable[[Session, *Args], Answer],
        args: tuple[*Args],
    ) -> Answer:
        if not self._distrusted():
            forget(session, now)
        key, body = request.digest, hashlib.sha256(request.body).digest()
        kept = session.get(KeptAnswer, key)
        if kept is None:
            answer = work(session, *args)
            kept = KeptAnswer(key=key, request=body, subject=answer.subject or request.caller.subject)
            kept.status, kept.body = answer.status, self._sealer.seal(answer.body, key)
            kept.expires_at = now + KEEP_SECONDS
            session.add(kept)
            return answer
        if kept.request != body:
            raise RequestError(
                "this Idempotency-Key came with another body before; take a new one for each request"
            )
        return Answer(self._sealer.unseal(kept.body, key), kept.subject, kept.status, again=True)


def forget(session: Session, now: int) -> None:
    """Delete the answers that are kept no longer at `now` (Unix seconds)."""
    session.execute(delete(KeptAnswer).where(KeptAnswer.expires_at <= now))
