"""Retention (GDPR Art. 5(1)(e)): rows are deleted once their period is over, with people all of theirs.

No event of a person who stays is deleted: their history is replayed from all of them. The log keeps its
commitments, which nobody can open any more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, delete, exists, func, inspect, or_, select, tuple_
from sqlalchemy.orm import Session

from covey_consent.access.access_log import Access
from covey_consent.access.idempotency import KeptAnswer
from covey_consent.decisions import states
from covey_consent.recipients.outbox import DeliveryState, NotificationKind, Outbox
from covey_consent.recipients.register import Notification
from covey_consent.rights import personal_data_rows
from covey_consent.rights.states import OPEN, RequestAction, RequestKind, RequestState
from covey_consent.rights.tables import AttributeChange, ErasureStep, RightsRequest, RightsStep
from covey_consent.settings import Settings
from covey_consent.storage.models import HOUR, Base, Device, Issuance, ServedNotice, StandingChoice, Subject
from covey_consent.storage.store import Store
from covey_consent.tickets.tickets import YEAR_SECONDS
from covey_privacy.registry_messages import GRANTED

PEOPLE = "people"

PEOPLE_PAGE, ROWS_PAGE = 20, 300
"""People, and rows, that one transaction deletes at most."""

DAY = 86400
YEAR = 366 * DAY
"""Never less than a calendar year."""

Key = tuple[Any, ...]
"""The primary key of a row."""


class RetentionRule(NamedTuple):
    """Rows of a table whose period is over; the rows of `parts` are parts of requests, and go with them."""

    table: type[Base]
    is_over: ColumnElement[bool]
    parts: type[RightsStep] | None = None

    def find(self, session: Session, among: Sequence[Key] | None = None) -> list[Key]:
        """Return the keys of the rows that are over, or of those `among` them that still are."""
        query = select(*self._key).where(self.is_over)
        query = query.limit(ROWS_PAGE) if among is None else query.where(tuple_(*self._key).in_(among))
        return [tuple(row) for row in session.execute(query)]

    def delete(self, session: Session, found: Sequence[Key]) -> int:
        """Delete the rows that are still over; return how many."""
        keys = self.find(session, found)
        if self.parts is not None:
            session.execute(delete(self.parts).where(self.parts.request.in_([key[0] for key in keys])))
        session.execute(delete(self.table).where(tuple_(*self._key).in_(keys)))
        return len(keys)

    @property
    def _key(self) -> Sequence[Any]:
        return inspect(self.table).primary_key


@dataclass(frozen=True, slots=True)
class Retention:
    """Deletes rows and people whose period in the settings is over; recipients are notified of people.

    `forget` has the people's choices looked up anew once the session's work is committed. `require` is called
    in each transaction before it deletes, and raises where the clock is not trusted.
    """

    store: Store
    outbox: Outbox
    settings: Settings
    forget: Callable[[Session, set[str]], None]
    require: Callable[[], None] = lambda: None

    async def run(self, now: int) -> Mapping[str, int]:
        """Delete rows and people that are over at `now` (Unix seconds); return how many of each table."""
        counts: Counter[str] = Counter()
        while erased := await self._erase_people(now):
            counts[PEOPLE] += erased
        for rule in rules(self.settings, now):
            # Read first: no write waits while a large table is looked through.
            while found := await self.store.read(rule.find):
                counts[rule.table.__tablename__] += await self.store.write(self._delete, rule, found)
        if counts[PEOPLE]:
            await self.store.purge()
        return counts

    async def due(self, now: int) -> Mapping[str, int]:
        """Count the rows and people that `run` would delete."""
        return await self.store.read(_count, self.settings, now)

    async def _erase_people(self, now: int) -> int:
        """Erase the people who are over, in pages. An erased child's guardian is due in the next pass."""
        erased, last = 0, ""
        while found := await self.store.read(_people_page, self.settings, now, last):
            erased, last = erased + await self.store.write(self._erase, found, now), found[-1]
        return erased

    def _delete(self, session: Session, rule: RetentionRule, found: Sequence[Key]) -> int:
        self.require()
        return rule.delete(session, found)

    def _erase(self, session: Session, found: Sequence[str], now: int) -> int:
        self.require()
        # Whoever came back since they were found stays.
        people = session.scalars(people_over(self.settings, now).where(Subject.subject.in_(found))).all()
        for subject in people:
            self.outbox.notify(session, subject, NotificationKind.ERASED)
        personal_data_rows.erase(session, people)
        self.forget(session, set(people))
        return len(people)


def people_over(settings: Settings, now: int) -> Select[str]:
    """Select the people whose every choice ended before the period, and who did nothing since."""
    cutoff = now - settings.record_years * YEAR
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


def rules(settings: Settings, now: int) -> tuple[RetentionRule, ...]:
    """Return the rules for rows of people who stay, and for rows that name nobody."""
    record = now - settings.record_years * YEAR
    settled = Notification.state.in_((DeliveryState.TOLD, DeliveryState.DEAD))
    return (
        RetentionRule(Access, Access.at < now - settings.access_log_years * YEAR),
        RetentionRule(ErasureStep, ErasureStep.at < now - settings.access_log_years * YEAR),
        RetentionRule(Notification, settled & (Notification.due_at < now - settings.letter_days * DAY)),
        RetentionRule(KeptAnswer, KeptAnswer.expires_at <= now),
        RetentionRule(Issuance, Issuance.hour < (now - YEAR_SECONDS) // HOUR),
        RetentionRule(ServedNotice, (ServedNotice.at < 1000 * record) & ~_backs_a_grant()),
        RetentionRule(RightsRequest, _is_closed_since(record), RightsStep),
        RetentionRule(AttributeChange, AttributeChange.at < record),
    )


def _backs_a_grant() -> ColumnElement[bool]:
    """Say whether a grant rests on the served notice: the evidence of GDPR Art. 7(1)."""
    choice = StandingChoice
    same = (choice.subject == ServedNotice.subject) & (choice.purpose == ServedNotice.purpose)
    return exists().where(same, choice.state == GRANTED)


def _is_closed_since(before: int) -> ColumnElement[bool]:
    """Say whether a request was closed before that time and restricts nothing."""
    step = RightsStep.request == RightsRequest.id
    lifted = exists().where(step, RightsStep.step == RequestAction.LIFT)
    restricted = (RightsRequest.kind == RequestKind.RESTRICTION) & (
        RightsRequest.state == RequestState.FULFILLED
    )
    return and_(
        RightsRequest.state.not_in(OPEN),
        RightsRequest.received_at < before,
        ~exists().where(step, RightsStep.at >= before),
        ~(restricted & ~lifted),
    )


def _people_page(session: Session, settings: Settings, now: int, after: str) -> Sequence[str]:
    query = people_over(settings, now).where(Subject.subject > after).order_by(Subject.subject)
    return session.scalars(query.limit(PEOPLE_PAGE)).all()


def _count(session: Session, settings: Settings, now: int) -> dict[str, int]:
    def count(query: Select[Any]) -> int:
        return session.scalar(select(func.count()).select_from(query.subquery())) or 0

    tables = {
        rule.table.__tablename__: count(select(rule.table).where(rule.is_over))
        for rule in rules(settings, now)
    }
    return {PEOPLE: count(people_over(settings, now)), **tables}
