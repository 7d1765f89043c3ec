"""Re-consent: how many people a new major asks again. Counts alone, and none below ten."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from covey_consent.storage.models import StandingChoice
from covey_privacy.registry_messages import GRANTED, Notice

FLOOR = 10
BELOW = f"<{FLOOR}"

Count = int | str


@dataclass(frozen=True, slots=True)
class Reconsent:
    """Grants on the major in force, those on an older one, and both: the cohort if everyone agreed again.

    The sum is None where a part is hidden: it would give it away.
    """

    standing: Count
    outdated: Count
    projected: int | None


def count(session: Session, notice: Notice, now: int) -> Reconsent:
    """Return the counts for the notice in force at `now` (Unix milliseconds)."""
    standing = _grants(session, notice, now, outdated=False)
    outdated = _grants(session, notice, now, outdated=True)
    shown = min(standing, outdated) >= FLOOR
    return Reconsent(_floored(standing), _floored(outdated), standing + outdated if shown else None)


def _grants(session: Session, notice: Notice, now: int, *, outdated: bool) -> int:
    major = StandingChoice.notice_version
    query = (
        select(func.count())
        .select_from(StandingChoice)
        .filter_by(purpose=notice.purpose, state=GRANTED)
        .where(major < notice.version if outdated else major == notice.version)
        .where((StandingChoice.expires_at == 0) | (StandingChoice.expires_at > now))
    )
    return session.scalar(query) or 0


def _floored(number: int) -> Count:
    return BELOW if number < FLOOR else number
