"""The register of recipients: who receives what, and what each was told of a person."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from covey_consent.errors import ConflictError, UnknownError
from covey_consent.policy import purposes
from covey_consent.recipients.tables import Notification, Recipient
from covey_consent.recipients.webhook import Signer
from covey_consent.tickets.epoch_calendar import Calendar


def add(session: Session, name: str, url: str, wanted: Iterable[str], calendar: Calendar) -> Recipient:
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


def find(session: Session, id_: str) -> Recipient:
    """Return the recipient. Raises UnknownError."""
    recipient = session.get(Recipient, id_)
    if recipient is None:
        raise UnknownError("there is no such recipient; /v1/recipients lists them")
    return recipient


def page(session: Session, after: str, limit: int) -> Sequence[Recipient]:
    """Return recipients by name, from the one after `after`."""
    query = select(Recipient).where(Recipient.name > after).order_by(Recipient.name).limit(limit)
    return session.scalars(query).all()


def letters(session: Session, recipients: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return by recipient how many notifications stand in which state."""
    query = (
        select(Notification.recipient, Notification.state, func.count())
        .where(Notification.recipient.in_(recipients))
        .group_by(Notification.recipient, Notification.state)
    )
    counts: dict[str, dict[str, int]] = {}
    for recipient, state, count in session.execute(query):
        counts.setdefault(recipient, {})[state] = count
    return counts


def told(session: Session, signer: Signer, subject: str) -> list[dict[str, Any]]:
    """Return every recipient, by which pseudonym it knows the person, and what it was told of them when."""
    letters = select(Notification).filter_by(subject=subject).order_by(Notification.created_at)
    by_recipient: dict[str, list[dict[str, Any]]] = {}
    for letter in session.scalars(letters):
        by_recipient.setdefault(letter.recipient, []).append(_letter(letter))
    return [
        {
            "name": one.name,
            "purposes": one.purposes.split("+"),
            "pseudonym": signer.pseudonym(one.id, subject),
            "told": by_recipient.get(one.id, []),
        }
        for one in session.scalars(select(Recipient).order_by(Recipient.name))
    ]


def _letter(letter: Notification) -> dict[str, Any]:
    return {
        "event": letter.event, "state": letter.state, "since": letter.created_at, "told_at": letter.told_at,
    }  # fmt: skip
