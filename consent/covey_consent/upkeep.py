"""Upkeep: what time alone makes due. Grants that have lapsed get their event; what is over is deleted.

A lapsed grant allows nothing from that moment; its event, an hour later at most, only tells the history so.
"""

from __future__ import annotations

import asyncio
import logging

from sqlalchemy import select
from sqlalchemy.orm import Session

from covey_consent import idempotency
from covey_consent.acts import SYSTEM, Act
from covey_consent.choices import Choices
from covey_consent.epochs import Calendar
from covey_consent.errors import DamageError, UnavailableError
from covey_consent.models import StandingChoice
from covey_consent.rights.retention import Retention
from covey_consent.states import EXPIRED
from covey_consent.store import Store
from covey_consent.transfers import ENDS, Transfers
from covey_privacy.consent import GRANTED, WITHDRAWN

PAGE = 1000
"""Grants that one transaction ends at most."""

EVERY_SECONDS = 3600

log = logging.getLogger("covey.registry")


class Upkeep:
    """Does what is due, at once and then every hour."""

    def __init__(self, store: Store, choices: Choices, calendar: Calendar, retention: Retention) -> None:
        self._store, self._choices, self._calendar = store, choices, calendar
        self._retention = retention

    async def run(self) -> None:
        """Do what is due until cancelled."""
        while True:
            try:
                await self.once()
            except (UnavailableError, DamageError) as error:
                log.warning("upkeep waits for the database: %s", error)
            await asyncio.sleep(EVERY_SECONDS)

    async def once(self) -> int:
        """Do what is due now; return how many grants have lapsed."""
        lapsed = 0
        while ended := await self._store.write(self._expire):
            lapsed += ended
        await self.recall()
        await self._retention.run(self._calendar.now)
        await self._store.write(idempotency.forget, self._calendar.now)
        return lapsed

    async def recall(self) -> None:
        """End the grants that take data abroad whose person has not agreed to that as it is asked now."""
        transfers = self._choices.events.transfers
        # Looked for beside the writer, which others wait for: there is seldom one.
        while await self._store.read(transfers.stranded, 1):
            await self._store.write(self._recall, transfers)

    def _recall(self, session: Session, transfers: Transfers) -> None:
        now = self._calendar.milliseconds
        acts = [
            Act(one.subject, one.purpose, WITHDRAWN, SYSTEM, ENDS, now, version=one.notice_version)
            for one in transfers.stranded(session, PAGE)
        ]
        self._choices.record(session, acts)

    def _expire(self, session: Session) -> int:
        now = self._calendar.milliseconds
        lapsed = (
            select(StandingChoice)
            .where(StandingChoice.state == GRANTED, StandingChoice.expires_at.between(1, now))
            .limit(PAGE)
        )
        acts = [
            Act(choice.subject, choice.purpose, EXPIRED, SYSTEM, "time", choice.expires_at)
            for choice in session.scalars(lapsed)
        ]
        self._choices.record(session, acts)
        return len(acts)
