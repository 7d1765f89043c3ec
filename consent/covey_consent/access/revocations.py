"""Revoked tokens: one by its id, or all that a role and name had until then.

They are kept in the database, and in memory for the check that every request makes, also with a token that
was verified before.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from sqlalchemy import delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from covey_consent.access.tokens import Token
from covey_consent.errors import TokenError
from covey_consent.storage.models import ROW, Base
from covey_consent.storage.writer import after_commit


class Revocation(Base):
    """A revocation of one token, by its id, or of those of a role and name; times are Unix seconds.

    `until` is when no token that it is about can be good any more.
    """

    __tablename__ = "revocations"

    id: Mapped[int] = mapped_column(ROW, primary_key=True, autoincrement=True)
    token: Mapped[str | None]
    role: Mapped[str | None]
    name: Mapped[str | None]
    at: Mapped[int]
    by: Mapped[str]
    until: Mapped[int] = mapped_column(index=True)


class Revocations:
    """The revocations in memory: written by the writer's thread after its COMMIT, read by every request."""

    def __init__(self) -> None:
        self._tokens: frozenset[str] = frozenset()
        self._names: dict[tuple[str, str], int] = {}

    def load(self, session: Session) -> None:
        """Read the revocations from the database."""
        self._take(session.scalars(select(Revocation).order_by(Revocation.id)).all())

    def add(self, session: Session, revocation: Revocation) -> Revocation:
        """Keep a revocation, in force once it is committed, and delete those that have expired."""
        session.execute(delete(Revocation).where(Revocation.until <= revocation.at))
        session.add(revocation)
        session.flush()
        found = session.scalars(select(Revocation).order_by(Revocation.id)).all()
        after_commit(session, partial(self._take, found))
        return revocation

    def check(self, token: Token) -> None:
        """Raise TokenError where the token is revoked."""
        if self.holds(token):
            raise TokenError("the access token was revoked; ask for a new one where you got it")

    def holds(self, token: Token) -> bool:
        """Say whether the token is revoked."""
        caller = token.caller
        ended = self._names.get((caller.role.value, caller.name))
        return token.id in self._tokens or (ended is not None and token.issued_at <= ended)

    def _take(self, found: Sequence[Revocation]) -> None:
        names: dict[tuple[str, str], int] = {}
        for one in found:
            if one.role is not None and one.name is not None:
                names[one.role, one.name] = max(one.at, names.get((one.role, one.name), 0))
        self._tokens, self._names = frozenset(one.token for one in found if one.token is not None), names
