"""The outbox: what recipients are to be told, written together with what they are told of."""

from __future__ import annotations

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
from covey_consent.recipients import backoff
from covey_consent.recipients.tables import Notification, Recipient
from covey_consent.recipients.webhook import Signer
from covey_consent.storage.models import Event as RecordedEvent
from covey_consent.storage.models import StandingChoice
from covey_consent.tickets.epoch_calendar import Calendar
from covey_privacy.registry_messages import GRANTED, REFUSED, WITHDRAWN


class Event(StrEnum):
    """What a recipient is told: GDPR Art. 7(3), 17(2), 19 and 21; PIPL Art. 47."""

    WITHDRAWN = "consent.withdrawn"
    ERASED = "subject.erased"
    RECTIFIED = "subject.rectified"
    RESTRICTED = "subject.restricted"
    LIFTED = "subject.lifted"
    OBJECTED = "subject.objected"


class State(StrEnum):
    """Where a notification stands; a dead letter is sent again only when somebody asks for it."""

    WAITING = "waiting"
    TOLD = "told"
    DEAD = "dead"


class Letter(NamedTuple):
    """A notification as it is sent."""

    id: str
    recipient: str
    url: str
    body: bytes


class Undelivered(NamedTuple):
    """Letters that wait, letters that were given up, and the age in seconds of the oldest that waits."""

    waiting: int
    dead: int
    oldest_seconds: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one attempt went: the HTTP status, 0 where none came, and one line on it."""

    id: str
    status: int
    answer: str

    @property
    def told(self) -> bool:
        """Whether the recipient took it."""
        return 200 <= self.status < 300

    @property
    def hopeless(self) -> bool:
        """Whether the recipient says that it will never take it (410, as Standard Webhooks has it)."""
        return self.status == 410


@dataclass(frozen=True, slots=True)
class Outbox:
    """Writes what recipients are to be told; `tries` attempts, and then it is a dead letter."""

    signer: Signer
    calendar: Calendar
    tries: int

    def tell(
        self, session: Session, subject: str, event: Event, purposes: Iterable[str] | None = None
    ) -> int:
        """Write to recipients of these purposes, or all; return to how many. Part of the caller's write.

        What is for one that is switched off waits.
        """
        wanted = None if purposes is None else set(purposes)
        every = session.scalars(select(Recipient).order_by(Recipient.name))
        concerned = [one for one in every if wanted is None or wanted & set(one.purposes.split("+"))]
        session.add_all(self._notification(one, subject, event, wanted) for one in concerned)
        session.flush()
        return len(concerned)

    def follow(self, session: Session, records: Iterable[Record]) -> None:
        """Have told what events of consent mean for recipients. Part of the write that records them."""
        session.flush()
        for record in records:
            event = _MEANS.get(record.state)
            if event is not None and _matters(session, record):
                self.tell(session, record.subject, event, _concerned(record))

    def awaited(self, session: Session) -> Sequence[str]:
        """Return the recipients for whom a letter is due."""
        return session.scalars(self._due(select(Notification.recipient).distinct())).all()

    def due(self, session: Session, recipient: str, limit: int) -> Sequence[Letter]:
        """Return letters to send to the recipient now, the longest due first."""
        columns = Notification.id, Notification.recipient, Recipient.url, Notification.body
        query = self._due(select(*columns)).where(Notification.recipient == recipient)
        rows = session.execute(query.order_by(Notification.due_at, Notification.id).limit(limit))
        return [Letter(*row) for row in rows]

    def undelivered(self, session: Session) -> Undelivered:
        """Return how many letters are not delivered, and how long the oldest of an active recipient waits."""
        query = (
            select(Notification.state, func.count())
            .where(Notification.state.in_((State.WAITING, State.DEAD)))
            .group_by(Notification.state)
        )
        counts: dict[str, int] = {row[0]: row[1] for row in session.execute(query)}
        oldest = session.scalar(
            select(func.min(Notification.created_at))
            .join(Recipient, Recipient.id == Notification.recipient)
            .where(Notification.state == State.WAITING, Recipient.active)
        )
        age = 0 if oldest is None else max(0, self.calendar.now - oldest)
        return Undelivered(counts.get(State.WAITING, 0), counts.get(State.DEAD, 0), age)

    def settle(self, session: Session, outcomes: Sequence[Outcome], drawn: Sequence[float]) -> None:
        """Keep how attempts went, and when the next ones are; each `drawn` in [0, 1) spreads them out."""
        for outcome, lot in zip(outcomes, drawn, strict=True):
            row = session.get(Notification, outcome.id)
            if row is not None and row.state == State.WAITING:
                self._settle(row, outcome, lot)

    def _settle(self, row: Notification, outcome: Outcome, lot: float) -> None:
        row.tries, row.answer = row.tries + 1, outcome.answer
        if outcome.told:
            row.state, row.told_at, row.body = State.TOLD, self.calendar.now, None
        elif outcome.hopeless or row.tries >= self.tries:
            row.state = State.DEAD
        else:
            row.due_at = self.calendar.now + backoff.seconds(row.tries, lot)

    def _due(self, query: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
        """Narrow a query to letters that active recipients have to get now.

        No letter waits for longer than the longest wait: a later time is from a clock that ran ahead.
        """
        now, due_at = self.calendar.now, Notification.due_at
        return (
            query.join(Recipient, Recipient.id == Notification.recipient)
            .where(Notification.state == State.WAITING, (due_at <= now) | (due_at > now + backoff.MOST))
            .where(Recipient.active)
        )

    def retry(self, session: Session, recipient: str) -> None:
        """Send the recipient's dead letters again, each with all its tries."""
        session.execute(
            update(Notification)
            .where(Notification.recipient == recipient, Notification.state == State.DEAD)
            .values(state=State.WAITING, tries=0, due_at=self.calendar.now)
        )

    def _notification(
        self, recipient: Recipient, subject: str, event: Event, purposes: set[str] | None
    ) -> Notification:
        now = self.calendar.now
        shared = set(recipient.purposes.split("+"))
        data = {
            "recipient": recipient.id,
            "subject": self.signer.pseudonym(recipient.id, subject),
            "purposes": sorted(shared if purposes is None else shared & purposes),
        }
        said = {"type": event, "timestamp": datetime.fromtimestamp(now, UTC).isoformat(), "data": data}
        return Notification(
            id=f"msg_{uuid.uuid4().hex}", recipient=recipient.id,
            subject=None if event is Event.ERASED else subject, event=event, body=orjson.dumps(said),
            state=State.WAITING, tries=0, created_at=now, due_at=now, told_at=None, answer="",
        )  # fmt: skip


_MEANS = {
    WITHDRAWN: Event.WITHDRAWN,
    REFUSED: Event.WITHDRAWN,
    states.EXPIRED: Event.WITHDRAWN,
    states.OBJECTED: Event.OBJECTED,
    states.RESTRICTED: Event.RESTRICTED,
    states.LIFTED: Event.LIFTED,
}


def _matters(session: Session, record: Record) -> bool:
    """Say whether recipients have to hear: an end tells them nothing where nothing began, or it goes on."""
    if _MEANS[record.state] is not Event.WITHDRAWN:
        return True
    of = {"subject": record.subject, "purpose": record.purpose}
    stands = session.scalar(select(StandingChoice.state).filter_by(**of)) == GRANTED
    began = select(RecordedEvent.id).filter_by(**of, state=GRANTED).limit(1)
    return not stands and session.scalar(began) is not None


def _concerned(record: Record) -> set[str] | None:
    return None if record.purpose == EVERYTHING else {record.purpose}
