"""The tables of the breach desk. They count people and name none. Times are Unix seconds."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Integer
from sqlalchemy.orm import Mapped, mapped_column

from covey_consent.storage.models import Base


class Breach(Base):
    """A breach as it stands: `account` is its `Account` as canonical JSON, `scope` its `Scope`."""

    __tablename__ = "breaches"

    id: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]
    detected_at: Mapped[int]
    due_at: Mapped[int]
    scope: Mapped[bytes]
    account: Mapped[bytes]
    authority_at: Mapped[int | None]
    people_at: Mapped[int | None]
    version: Mapped[int] = mapped_column(Integer)


class BreachStep(Base):
    """One step of a breach, with the account as it was then: GDPR Art. 33(5). Never changed."""

    __tablename__ = "breach_steps"

    breach: Mapped[str] = mapped_column(ForeignKey(Breach.id), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    step: Mapped[str]
    state: Mapped[str]
    account: Mapped[bytes]
    role: Mapped[str]
    name: Mapped[str]
    reason: Mapped[str]
    at: Mapped[int]
