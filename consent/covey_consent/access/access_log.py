"""The access log: who looked, and who acted, when, at what and why (GDPR Art. 5(2), 32)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Integer, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from covey_consent.access.roles import Caller
from covey_consent.storage.models import Base


class Access(Base):
    """One request of an officer, an auditor or an administrator; `at` in Unix seconds. Never changed."""

    __tablename__ = "access_log"
    # What officers did outlives an erasure: its id stands for whom they did it to, and their words on it go.
    __table_args__ = {"info": {"blank": ("subject", "reason"), "stand_in": True}}  # noqa: RUF012  SQLAlchemy's name

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    at: Mapped[int]
    role: Mapped[str]
    name: Mapped[str] = mapped_column(index=True)
    operation: Mapped[str]
    subject: Mapped[str | None] = mapped_column(index=True)
    reason: Mapped[str | None]


@dataclass(frozen=True, slots=True)
class Sought:
    """Which rows are asked for: of one member of staff, about one person, older than the row `before`."""

    name: str | None = None
    subject: str | None = None
    before: int | None = None


def record(
    session: Session, caller: Caller, operation: str, subject: str | None, reason: str | None, now: int
) -> None:
    """Add what a caller does at `now` (Unix seconds)."""
    session.add(
        Access(
            at=now,
            role=caller.role.value,
            name=caller.name,
            operation=operation,
            subject=subject,
            reason=reason,
        )
    )


def find(session: Session, sought: Sought, limit: int) -> Sequence[Access]:
    """Return the rows that match, newest first."""
    query = select(Access).order_by(Access.id.desc()).limit(limit)
    if sought.before is not None:
        query = query.where(Access.id < sought.before)
    for column, wanted in ((Access.name, sought.name), (Access.subject, sought.subject)):
        if wanted is not None:
            query = query.where(column == wanted)
    return session.scalars(query).all()
