"""Hourly maintenance: lapsed grants get their event, and rows past their retention are deleted.

A lapsed grant allows nothing from that moment; its event, an hour later at most, only completes the history.
While the clock is not trusted, nothing lapses and nothing is deleted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import Session

from covey_consent.access import idempotency
from covey_consent.decisions.consent_event import SYSTEM, ConsentEvent
from covey_consent.decisions.standing_choices import StandingChoices
from covey_consent.decisions.states import EXPIRED
from covey_consent.operations.clock_monitor import ClockMonitor
from covey_consent.operations.supervision import Done, nothing
from covey_consent.policy.epoch_calendar import Calendar
from covey_consent.policy.transfers import ENDS, Transfers
from covey_consent.rights.retention import Retention
from covey_consent.storage.models import StandingChoice
from covey_consent.storage.store import Store, select_in
from covey_privacy.registry_messages import GRANTED, WITHDRAWN

PAGE = 1000
"""Grants that are found at once: one transaction ends those of their people."""

EVERY_SECONDS = 3600

log = logging.getLogger("covey.registry")


class Maintenance:
    """Does what is due, at once and then every hour."""

    def __init__(
        self,
        store: Store,
        choices: StandingChoices,
        calendar: Calendar,
        retention: Retention,
        monitor: ClockMonitor,
    ) -> None:
        self._store, self._choices, self._calendar = store, choices, calendar
        self._retention, self._monitor = retention, monitor

    async def run(self, done: Done = nothing) -> None:
        """Do what is due until cancelled."""
        while True:
            await self.once()
            done()
            await asyncio.sleep(EVERY_SECONDS)

    async def once(self) -> int:
        """Do what is due now; return how many grants have lapsed."""
        if self._monitor.reason:
            log.error("nothing lapses and nothing is deleted: %s", self._monitor.reason)
            await self.recall()
            return 0
        lapsed = 0
        # Looked up in a reader, so that others do not wait for the writer.
        while people := await self._store.read(self._lapsed):
            lapsed += await self._store.write(self._expire, people)
        await self.recall()
        await self._retention.run(self._monitor.now())
        await self._store.write(idempotency.forget, self._monitor.now())
        return lapsed

    async def recall(self) -> None:
        """End the grants that take data abroad without the person's consent to the notice in force."""
        transfers = self._choices.events.transfers
        # Looked up in a reader, so that others do not wait for the writer.
        while await self._store.read(transfers.stranded, 1):
            await self._store.write(self._recall, transfers)

    def _recall(self, session: Session, transfers: Transfers) -> None:
        now = self._calendar.milliseconds
        events = [
            ConsentEvent(one.subject, one.purpose, WITHDRAWN, SYSTEM, ENDS, now, version=one.notice_version)
            for one in transfers.stranded(session, PAGE)
        ]
        self._choices.record(session, events)

    def _lapsed(self, session: Session) -> Sequence[str]:
        people = select(StandingChoice.subject).where(_over(1000 * self._monitor.now()))
        return session.scalars(people.limit(PAGE)).all()

    def _expire(self, session: Session, people: Sequence[str]) -> int:
        # A grant that was renewed since the lookup stays.
        lapsed = select(StandingChoice).where(_over(1000 * self._monitor.now()))
        events = [
            ConsentEvent(choice.subject, choice.purpose, EXPIRED, SYSTEM, "time", choice.expires_at)
            for choice in select_in(session, lapsed, StandingChoice.subject, {*people})
        ]
        self._choices.record(session, events)
        return len(events)


def _over(now: int) -> ColumnElement[bool]:
    """Select grants that have lapsed at `now` (Unix milliseconds)."""
    return and_(StandingChoice.state == GRANTED, StandingChoice.expires_at.between(1, now))
