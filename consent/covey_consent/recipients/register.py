"""The register of recipients and of the notifications to each, with its tables.

Times are Unix seconds.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from covey_consent.errors import ConflictError, UnknownError
from covey_consent.policy import purposes
from covey_consent.policy.epoch_calendar import Calendar
from covey_consent.recipients.webhook import WebhookSigner
from covey_consent.storage.models import Base


class Recipient(Base):
    """A recipient of personal data for some purposes ("a+b"), and the URL of its notifications."""

    __tablename__ = "recipients"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    url: Mapped[str]
    purposes: Mapped[str]
    active: Mapped[bool]
    added_at: Mapped[int]


class Notification(Base):
    """A notification of one recipient about one event: a row of the outbox.

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


def add_recipient(
    session: Session, name: str, url: str, wanted: Iterable[str], calendar: Calendar
) -> Recipient:
    """Keep a recipient whose URL was checked. Raises ConflictError where one is called so already."""
    named = sorted(purposes.find(one).id for one in set(wanted))
    if session.scalar(select(Recipient.id).filter_by(name=name)) is not None:
        raise ConflictError(f"a recipient is called {name!r} already; give this one another name")
    recipient = Recipient(
        id=uuid.uuid4().hex, name=name, url=url, purposes="+".join(named), active=True, added_at=calendar.now
    )
    session.add(recipient)
    session.flush()
    return recipient


def find_recipient(session: Session, id_: str) -> Recipient:
    """Return the recipient. Raises UnknownError."""
    recipient = session.get(Recipient, id_)
    if recipient is None:
        raise UnknownError("there is no such recipient; /v1/recipients lists them")
    return recipient


def page_of_recipients(session: Session, after: str, limit: int) -> Sequence[Recipient]:
    """Return recipients by name, from the one after `after`."""
    query = select(Recipient).where(Recipient.name > after).order_by(Recipient.name).limit(limit)
    return session.scalars(query).all()


def count_notifications(session: Session, recipients: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return by recipient how many notifications stand in which state."""
    query = (
        select(Notification.recipient, Notification.state, func.count())
        .where(Notification.recipient.in_(recipients))
        .group_by(Notification.recipient, Notification.state)
    )
    counts: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for recipient, state, count in session.execute(query):
        counts[recipient][state] = count
    return counts


def disclosures_of(session: Session, signer: WebhookSigner, subject: str) -> list[dict[str, Any]]:
    """Return every recipient with its pseudonym for the person and its notifications about them."""
    notifications = select(Notification).filter_by(subject=subject).order_by(Notification.created_at)
    told: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in session.scalars(notifications):
        told[one.recipient].append(
            {"event": one.event, "state": one.state, "since": one.created_at, "told_at": one.told_at}
        )
    return [
        {
            "name": one.name,
            "purposes": one.purposes.split("+"),
            "pseudonym": signer.pseudonym(one.id, subject),
            "told": told[one.id],
        }
        for one in session.scalars(select(Recipient).order_by(Recipient.name))
    ]
