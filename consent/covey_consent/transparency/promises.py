"""Promises: commitments of consent events are promised at once, and logged later in shuffled batches.

A batch is logged once `LEAST` commitments wait, or `DELAY_SECONDS` after the first. Neither its place nor the
time at which the log grew tells whose event it was, or links a withdrawal to a count that just ended. A quiet
registry logs small batches, an hour late and no better hidden than that. Waiting commitments are in the
database, so that a restart keeps every promise.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from covey_consent.errors import UnknownError
from covey_consent.operations.supervision import Done, nothing
from covey_consent.policy.epoch_calendar import Calendar
from covey_consent.storage.models import ROW, Base
from covey_consent.storage.store import Store
from covey_consent.transparency.log import Log
from covey_privacy.inclusion_promise import CONTEXT, Promise, consent_leaf
from covey_privacy.registry_messages import LEAF_CONSENT
from covey_privacy.signatures import SigningKey, sign

DELAY_SECONDS = 3600
"""How long an event may wait for others."""

GRACE_SECONDS = 60
"""What a promise adds to that for the registry's own work, beside the tolerance of clocks."""

LEAST = 50
MOST = 4096
"""Events that are enough to be logged together, and that are logged in one write at most."""

EVERY_SECONDS = 1.0
"""Interval at which the publisher looks for due commitments."""


class PendingCommitment(Base):
    """A commitment that is promised (Unix milliseconds) and not in the log yet.

    Few wait at a time, so that a lookup scans them. An index of commitments would have random keys, and a
    page of it would be written for every decision.
    """

    __tablename__ = "promised"

    id: Mapped[int] = mapped_column(ROW, primary_key=True, autoincrement=True)
    commitment: Mapped[bytes]
    promised_at: Mapped[int]


_INSERT = insert(Base.metadata.tables[PendingCommitment.__tablename__])


@dataclass(frozen=True, slots=True)
class CommitmentStatus:
    """Where a promised event stands: its place in the log, or by when it will be there (Unix ms)."""

    state: Literal["promised", "published"]
    index: int | None
    publish_by: int | None


def promise(
    key: SigningKey, origin: str, commitment: bytes, calendar: Calendar, at: int | None = None
) -> bytes:
    """Return the signed `Promise`, of now or of `at` (Unix ms), that the log `origin` will hold it."""
    at = calendar.milliseconds if at is None else at
    return sign(CONTEXT, Promise(origin, commitment, at, publish_by(at, calendar)), key)


def publish_by(at: int, calendar: Calendar) -> int:
    """Return by when (Unix ms) a commitment that is promised at `at` has to be in the log."""
    return at + 1000 * (DELAY_SECONDS + GRACE_SECONDS + calendar.tolerance_seconds)


def promise_all(
    session: Session, commitments: Sequence[bytes], calendar: Calendar, at: int | None = None
) -> None:
    """Have the commitments published in time, in the caller's `write`; promised now, or at `at` (Unix ms)."""
    at = calendar.milliseconds if at is None else at
    rows = [{"commitment": commitment, "promised_at": at} for commitment in commitments]
    if rows:
        session.connection().execute(_INSERT, rows)


def publish(session: Session, to: Log, calendar: Calendar, shuffler: random.Random) -> int:
    """Log the due commitments, shuffled, in the caller's `Log.write`; return how many."""
    count, since = session.execute(select(func.count(), func.min(PendingCommitment.promised_at))).one()
    aged = since is not None and since <= calendar.milliseconds - 1000 * DELAY_SECONDS
    if count < LEAST and not aged:
        return 0
    oldest = session.execute(
        select(PendingCommitment.id, PendingCommitment.commitment).order_by(PendingCommitment.id).limit(MOST)
    ).all()
    session.execute(delete(PendingCommitment).where(PendingCommitment.id <= oldest[-1].id))
    due = [row.commitment for row in oldest]
    shuffler.shuffle(due)
    to.append_all(session, LEAF_CONSENT, due)
    return len(due)


async def find(commitment: bytes, log: Log, store: Store, calendar: Calendar) -> CommitmentStatus:
    """Return where a promised event stands. Raises UnknownError for a commitment that was not promised."""
    index = await log.find(consent_leaf(commitment))
    if index is None:
        # Asked in the writer's thread: a batch that it is just publishing has left the table, and is in the
        # log before the thread starts other work.
        at = await store.write(promised_at, commitment)
        if at is not None:
            return CommitmentStatus("promised", None, publish_by(at, calendar))
        index = await log.find(consent_leaf(commitment))
    if index is None:
        raise UnknownError("this commitment was never promised here; a commitment is 64 hex digits")
    return CommitmentStatus("published", index, None)


class Publisher:
    """Logs due commitments in the background; `shuffler` draws the order."""

    def __init__(self, to: Log, calendar: Calendar, shuffler: random.Random) -> None:
        self._log, self._calendar, self._shuffler = to, calendar, shuffler

    async def run(self, done: Done = nothing) -> None:
        """Publish due commitments, at once and every `EVERY_SECONDS`, until cancelled."""
        while True:
            while await self.publish() == MOST:
                pass
            done()
            await asyncio.sleep(EVERY_SECONDS)

    async def publish(self) -> int:
        """Publish due commitments in one write and under one checkpoint; return how many."""
        return await self._log.write(publish, self._log, self._calendar, self._shuffler)


def promised_at(session: Session, commitment: bytes) -> int | None:
    """Return when (Unix ms) a commitment was promised that is not in the log yet, None where none waits."""
    return session.scalar(select(PendingCommitment.promised_at).filter_by(commitment=commitment))
