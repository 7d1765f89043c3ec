"""The tables of recipients. Times are Unix seconds."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, Integer
from sqlalchemy.orm import Mapped, mapped_column

from covey_consent.storage.models import Base


class Recipient(Base):
    """Who receives personal data, for which purposes ("a+b"), and where it is told of changes."""

    __tablename__ = "recipients"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    url: Mapped[str]
    purposes: Mapped[str]
    active: Mapped[bool]
    added_at: Mapped[int]


class Notification(Base):
    """What one recipient is to be told of one event: the outbox.

    The body names the person by the recipient's own pseudonym for them; it is emptied once the recipient
    has it, and `subject` is empty where the event is the person's erasure.
    """

    __tablename__ = "notifications"
    __table_args__ = (Index("notifications_by_due", "state", "due_at"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    recipient: Mapped[str] = mapped_column(ForeignKey(Recipient.id), index=True)
    subject: Mapped[str | None] = mapped_column(index=True)
    event: Mapped[str]
    body: Mapped[bytes | None]
    state: Mapped[str]
    tries: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[int]
    due_at: Mapped[int]
    told_at: Mapped[int | None]
    answer: Mapped[str]
