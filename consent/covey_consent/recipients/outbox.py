"""The outbox: notifications of recipients, written in the transaction of the change that they report.

A notification waits until the recipient took it. After each failed attempt the wait doubles, from
`FIRST_SECONDS` to `MOST_SECONDS`; after the last one it is dead, and is sent again only on request.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Select, func, select, update
from sqlalchemy.orm import Session

from covey_consent.decisions import states
from covey_consent.decisions.consent_event import EVERYTHING, Record
from covey_consent.operations.supervision import backoff
from covey_consent.policy.epoch_calendar import Calendar
from covey_consent.recipients.register import Notification, Recipient
from covey_consent.recipients.webhook import WebhookSigner
from covey_consent.storage.models import Event, StandingChoice
from covey_privacy.registry_messages import GRANTED, REFUSED, WITHDRAWN

FIRST_SECONDS = 5
MOST_SECONDS = 12 * 3600
"""The longest wait after the first failed attempt, and after any."""

GONE = 410
"""The HTTP status by which a recipient says that it will never take a notification (Standard Webhooks)."""

_RANDOM = secrets.SystemRandom()


class NotificationKind(StrEnum):
    """The changes that recipients are notified of: GDPR Art. 7(3), 17(2), 19 and 21; PIPL Art. 47."""

    WITHDRAWN = "consent.withdrawn"
    ERASED = "subject.erased"
    RECTIFIED = "subject.rectified"
    RESTRICTED = "subject.restricted"
    LIFTED = "subject.lifted"
    OBJECTED = "subject.objected"


class DeliveryState(StrEnum):
    """The states of a notification."""

    WAITING = "waiting"
    TOLD = "told"
    DEAD = "dead"


class Delivery(NamedTuple):
    """A notification to be sent."""

    id: str
    recipient: str
    url: str
    body: bytes


class DeliveryAttempt(NamedTuple):
    """The result of an attempt to send: the HTTP status, 0 where none came, and one line about it."""

    id: str
    status: int
    answer: str


class Undelivered(NamedTuple):
    """Notifications that wait, those that are dead, and the age in seconds of the oldest that waits."""

    waiting: int
    dead: int
    oldest_seconds: int


@dataclass(frozen=True, slots=True)
class Outbox:
    """Writes notifications; after `tries` failed attempts one is dead."""

    signer: WebhookSigner
    calendar: Calendar
    tries: int

    def notify(
        self, session: Session, subject: str, kind: NotificationKind, purposes: Iterable[str] | None = None
    ) -> int:
        """Write to recipients of these purposes, or all; return to how many. Part of the caller's write.

        Notifications of a recipient that is switched off wait.
        """
        wanted = None if purposes is None else set(purposes)
        every = session.scalars(select(Recipient).order_by(Recipient.name))
        concerned = [one for one in every if wanted is None or wanted & set(one.purposes.split("+"))]
        session.add_all(self._notification(one, subject, kind, wanted) for one in concerned)
        session.flush()
        return len(concerned)

    def follow(self, session: Session, records: Iterable[Record]) -> None:
        """Notify recipients of consent events that concern them. Part of the caller's write."""
        session.flush()
        for record in records:
            kind = _KINDS.get(record.state)
            if kind is None or (kind is NotificationKind.WITHDRAWN and not _ends_a_grant(session, record)):
                continue
            purposes = None if record.purpose == EVERYTHING else {record.purpose}
            self.notify(session, record.subject, kind, purposes)

    def awaited(self, session: Session) -> Sequence[str]:
        """Return the recipients for whom a notification is due."""
        return session.scalars(self._due(select(Notification.recipient).distinct())).all()

    def due(self, session: Session, recipient: str, limit: int) -> Sequence[Delivery]:
        """Return notifications to send to the recipient now, the longest due first."""
        columns = Notification.id, Notification.recipient, Recipient.url, Notification.body
        query = self._due(select(*columns)).where(Notification.recipient == recipient)
        rows = session.execute(query.order_by(Notification.due_at, Notification.id).limit(limit))
        return [Delivery(*row) for row in rows]

    def undelivered(self, session: Session) -> Undelivered:
        """Return how many are not delivered, and how long the oldest of an active recipient waits."""
        waiting, dead = (
            session.scalar(select(func.count()).where(Notification.state == state)) or 0
            for state in (DeliveryState.WAITING, DeliveryState.DEAD)
        )
        oldest = session.scalar(
            select(func.min(Notification.created_at))
            .join(Recipient, Recipient.id == Notification.recipient)
            .where(Notification.state == DeliveryState.WAITING, Recipient.active)
        )
        age = 0 if oldest is None else max(0, self.calendar.now - oldest)
        return Undelivered(waiting, dead, age)

    def record_attempts(self, session: Session, attempts: Iterable[DeliveryAttempt]) -> None:
        """Keep the results of attempts, and when the next ones are due."""
        for attempt in attempts:
            row = session.get(Notification, attempt.id)
            if row is None or row.state != DeliveryState.WAITING:
                continue
            row.tries, row.answer = row.tries + 1, attempt.answer
            if 200 <= attempt.status < 300:
                row.state, row.told_at, row.body = DeliveryState.TOLD, self.calendar.now, None
            elif attempt.status == GONE or row.tries >= self.tries:
                row.state = DeliveryState.DEAD
            else:
                row.due_at = self.calendar.now + retry_seconds(row.tries, _RANDOM.random())

    def retry(self, session: Session, recipient: str) -> None:
        """Send the recipient's dead notifications again, each with all its tries."""
        session.execute(
            update(Notification)
            .where(Notification.recipient == recipient, Notification.state == DeliveryState.DEAD)
            .values(state=DeliveryState.WAITING, tries=0, due_at=self.calendar.now)
        )

    def _due(self, query: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
        """Narrow a query to notifications that active recipients have to get now.

        None waits longer than `MOST_SECONDS`: a later time is from a clock that ran ahead.
        """
        now, due_at = self.calendar.now, Notification.due_at
        return (
            query.join(Recipient, Recipient.id == Notification.recipient)
            .where(Notification.state == DeliveryState.WAITING)
            .where((due_at <= now) | (due_at > now + MOST_SECONDS), Recipient.active)
        )

    def _notification(
        self, recipient: Recipient, subject: str, kind: NotificationKind, purposes: set[str] | None
    ) -> Notification:
        now = self.calendar.now
        shared = set(recipient.purposes.split("+"))
        data = {
            "recipient": recipient.id,
            "subject": self.signer.pseudonym(recipient.id, subject),
            "purposes": sorted(shared if purposes is None else shared & purposes),
        }
        body = {"type": kind, "timestamp": datetime.fromtimestamp(now, UTC).isoformat(), "data": data}
        return Notification(
            id=f"msg_{uuid.uuid4().hex}", recipient=recipient.id,
            subject=None if kind is NotificationKind.ERASED else subject, event=kind,
            body=orjson.dumps(body), state=DeliveryState.WAITING, tries=0, created_at=now, due_at=now,
            told_at=None, answer="",
        )  # fmt: skip


_KINDS = {
    WITHDRAWN: NotificationKind.WITHDRAWN,
    REFUSED: NotificationKind.WITHDRAWN,
    states.EXPIRED: NotificationKind.WITHDRAWN,
    states.OBJECTED: NotificationKind.OBJECTED,
    states.RESTRICTED: NotificationKind.RESTRICTED,
    states.LIFTED: NotificationKind.LIFTED,
}


def retry_seconds(tries: int, drawn: float) -> int:
    """Return the wait after `tries` failures: doubled each time, its second half random (0 <= drawn < 1)."""
    return max(1, round(backoff(tries, FIRST_SECONDS, MOST_SECONDS) * (1 + drawn) / 2))


def _ends_a_grant(session: Session, record: Record) -> bool:
    """Say whether an event ends a grant: recipients need not hear where none was given, or it goes on."""
    choice = {"subject": record.subject, "purpose": record.purpose}
    stands = session.scalar(select(StandingChoice.state).filter_by(**choice)) == GRANTED
    granted = select(Event.id).filter_by(**choice, state=GRANTED).limit(1)
    return not stands and session.scalar(granted) is not None
