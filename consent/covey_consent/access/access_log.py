"""The access log: which member of staff read or changed what, when and why (GDPR Art. 5(2), 32)."""

from __future__ import annotations

from collections.abc import Sequence

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


def record(
    session: Session, caller: Caller, operation: str, subject: str | None, reason: str | None, now: int
) -> None:
    """Add what a caller does at `now` (Unix seconds)."""
    role, name = caller.role.value, caller.name
    session.add(Access(at=now, role=role, name=name, operation=operation, subject=subject, reason=reason))


def find(
    session: Session, name: str | None, subject: str | None, before: int | None, limit: int
) -> Sequence[Access]:
    """Return the rows of a member of staff, about a person, and older than the row `before`, newest first."""
    query = select(Access).order_by(Access.id.desc()).limit(limit)
    if before is not None:
        query = query.where(Access.id < before)
    wanted = {"name": name, "subject": subject}
    query = query.filter_by(**{column: value for column, value in wanted.items() if value is not None})
    return session.scalars(query).all()
