"""Retention (GDPR Art. 5(1)(e)): what was kept for long enough goes, people with everything of theirs.

Of a person who stays no event is deleted: their history is replayed from all of them. The log keeps its
commitments, which nobody can open any more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from sqlalchemy import ColumnElement, Select, and_, delete, exists, func, or_, select, tuple_
from sqlalchemy.orm import Session

from covey_consent.access.access_log import Access
from covey_consent.decisions import states
from covey_consent.recipients.outbox import DeliveryState, NotificationKind, Outbox
from covey_consent.recipients.register import Notification
from covey_consent.rights import personal_data_rows
from covey_consent.rights.states import OPEN, Kind, State, Step
from covey_consent.rights.tables import AttributeChange, ErasureStep, RightsRequest, RightsStep
from covey_consent.settings import Settings
from covey_consent.storage.idempotency import KeptAnswer
from covey_consent.storage.models import HOUR, Base, Device, Issuance, ServedNotice, StandingChoice, Subject
from covey_consent.storage.store import Store
from covey_consent.tickets.tickets import YEAR_SECONDS
from covey_privacy.registry_messages import GRANTED

PEOPLE = "people"

CROWD, PAGE = 20, 300
"""People, and rows, that one transaction deletes at most."""

DAY = 86400
YEAR = 366 * DAY
"""Never less than a calendar year."""

Key = tuple[Any, ...]
"""What tells one row of a table from another."""

Forget = Callable[[Session, set[str]], None]
"""Has what is at hand of these people looked up anew, once the session's work is committed."""


class Terms(NamedTuple):
    """How long things are kept, in seconds: consent records and requests, the access log, settled letters."""

    record: int
    access_log: int
    letters: int

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the terms that the settings name."""
        return cls(settings.record_years * YEAR, settings.access_log_years * YEAR, settings.letter_days * DAY)


class Rule(NamedTuple):
    """Rows of a table whose time is over; the rows of `parts` are parts of requests, and go with them."""

    of: type[Base]
    over: ColumnElement[bool]
    parts: type[RightsStep] | None = None

    @property
    def key(self) -> list[Any]:
        """The columns of the table's key."""
        return list(self.of.__table__.primary_key.columns)  # type: ignore[attr-defined]  # SQLAlchemy types it too widely


def _always() -> None:
    """Let every deletion go on."""


@dataclass(frozen=True, slots=True)
class Retention:
    """Deletes what is over; recipients are written to as at any erasure.

    `require` is called in each transaction before it deletes, and raises where the clock is not trusted.
    """

    store: Store
    outbox: Outbox
    terms: Terms
    forget: Forget
    require: Callable[[], None] = _always

    async def run(self, now: int) -> Mapping[str, int]:
        """Delete what is over at `now` (Unix seconds); return how many people, and rows of each table."""
        counts: Counter[str] = Counter()
        while erased := await self._erase_people(now):
            counts[PEOPLE] += erased
        for rule in rules(self.terms, now):
            # Read first: no write waits while a large table is looked through.
            while found := await self.store.read(_found, rule):
                counts[rule.of.__tablename__] += await self.store.write(self._delete, rule, found)
        if counts[PEOPLE]:
            await self.store.purge()
        return counts

    async def due(self, now: int) -> Mapping[str, int]:
        """Count what `run` would delete."""
        return await self.store.read(_count, self.terms, now)

    async def _erase_people(self, now: int) -> int:
        """Go once through everybody. Who was a child's guardian is due the next time."""
        erased, last = 0, ""
        while found := await self.store.read(_crowd, self.terms, now, last):
            erased, last = erased + await self.store.write(self._erase, found, now), found[-1]
        return erased

    def _delete(self, session: Session, rule: Rule, found: Sequence[Key]) -> int:
        self.require()
        return _delete(session, rule, found)

    def _erase(self, session: Session, found: Sequence[str], now: int) -> int:
        self.require()
        # Who came back since they were found stays.
        people = session.scalars(over(self.terms, now).where(Subject.subject.in_(found))).all()
        for subject in people:
            self.outbox.notify(session, subject, NotificationKind.ERASED)
        personal_data_rows.erase(session, people)
        self.forget(session, set(people))
        return len(people)


def over(terms: Terms, now: int) -> Select[str]:
    """Select the people whose every choice ended long ago, and who were not here since."""
    cutoff = now - terms.record
    choice, later = StandingChoice, 1000 * cutoff
    held = and_(
        choice.state.in_((GRANTED, states.RESTRICTED)),
        or_(choice.expires_at == 0, choice.expires_at >= later),
    )
    asked = RightsRequest.state.in_(OPEN) | (RightsRequest.received_at >= cutoff)
    stays = (
        exists().where(choice.subject == Subject.subject, or_(held, choice.at >= later)),
        exists().where(RightsRequest.subject == Subject.subject, asked),
        exists().where(Device.subject == Subject.subject, Device.enrolled_hour >= cutoff // HOUR),
        exists().where(Issuance.subject == Subject.subject, Issuance.hour >= cutoff // HOUR),
        exists().where(ServedNotice.subject == Subject.subject, ServedNotice.at >= later),
        Subject.subject.in_(select(Subject.guardian).where(Subject.guardian.is_not(None))),
    )
    return select(Subject.subject).where(Subject.enrolled_hour < cutoff // HOUR, *(~one for one in stays))


def rules(terms: Terms, now: int) -> tuple[Rule, ...]:
    """Return what is over of the people who stay, and of what names nobody."""
    record = now - terms.record
    settled = Notification.state.in_((DeliveryState.TOLD, DeliveryState.DEAD))
    return (
        Rule(Access, Access.at < now - terms.access_log),
        Rule(ErasureStep, ErasureStep.at < now - terms.access_log),
        Rule(Notification, settled & (Notification.due_at < now - terms.letters)),
        Rule(KeptAnswer, KeptAnswer.expires_at <= now),
        Rule(Issuance, Issuance.hour < (now - YEAR_SECONDS) // HOUR),
        Rule(ServedNotice, (ServedNotice.at < 1000 * record) & ~_relied_on()),
        Rule(RightsRequest, _closed(record), RightsStep),
        Rule(AttributeChange, AttributeChange.at < record),
    )


def _relied_on() -> ColumnElement[bool]:
    """Say whether what was shown is what a grant stands on: the evidence of GDPR Art. 7(1)."""
    choice = StandingChoice
    same = (choice.subject == ServedNotice.subject) & (choice.purpose == ServedNotice.purpose)
    return exists().where(same, choice.state == GRANTED)


def _closed(before: int) -> ColumnElement[bool]:
    """Say whether a request was closed before that time and restricts nothing."""
    step = RightsStep.request == RightsRequest.id
    lifted = exists().where(step, RightsStep.step == Step.LIFT)
    restricts = (RightsRequest.kind == Kind.RESTRICTION) & (RightsRequest.state == State.FULFILLED) & ~lifted
    return and_(
        RightsRequest.state.not_in(OPEN),
        RightsRequest.received_at < before,
        ~exists().where(step, RightsStep.at >= before),
        ~restricts,
    )


def _crowd(session: Session, terms: Terms, now: int, after: str) -> Sequence[str]:
    query = over(terms, now).where(Subject.subject > after).order_by(Subject.subject).limit(CROWD)
    return session.scalars(query).all()


def _found(session: Session, rule: Rule) -> list[Key]:
    return [tuple(row) for row in session.execute(select(*rule.key).where(rule.over).limit(PAGE))]


def _delete(session: Session, rule: Rule, found: Sequence[Key]) -> int:
    still = select(*rule.key).where(tuple_(*rule.key).in_(found), rule.over)
    keys = [tuple(row) for row in session.execute(still)]
    if rule.parts is not None:
        session.execute(delete(rule.parts).where(rule.parts.request.in_([key[0] for key in keys])))
    session.execute(delete(rule.of).where(tuple_(*rule.key).in_(keys)))
    return len(keys)


def _count(session: Session, terms: Terms, now: int) -> dict[str, int]:
    def count(query: Select[Any]) -> int:
        return session.scalar(select(func.count()).select_from(query.subquery())) or 0

    tables = {rule.of.__tablename__: count(select(*rule.key).where(rule.over)) for rule in rules(terms, now)}
    return {PEOPLE: count(over(terms, now)), **tables}
