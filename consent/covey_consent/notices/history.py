"""Every version of a notice that was ever in force, what changed, and whom a new major asks again."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from covey_consent.errors import UnknownError
from covey_consent.storage.models import PublishedNotice, StandingChoice
from covey_privacy import wire
from covey_privacy.registry_messages import GRANTED, Notice, NoticeText
from covey_privacy.semver import Semver

FLOOR = 10
"""The least number of people that is told exactly."""

_OLDEST_FIRST = select(PublishedNotice).order_by(
    PublishedNotice.purpose, PublishedNotice.version, PublishedNotice.minor, PublishedNotice.patch
)


@dataclass(frozen=True, slots=True)
class Reconsent:
    """Grants on the major in force, those on an older one, and both: the cohort if everyone agreed again.

    Counts below `FLOOR` are "<10". The sum is None where a part is hidden: it would give it away.
    """

    standing: int | str
    outdated: int | str
    projected: int | None


def read_notice(row: PublishedNotice) -> Notice:
    """Return the notice that a row keeps."""
    return wire.decode(Notice, row.notice)


def read_versions(session: Session, purpose: str) -> Sequence[PublishedNotice]:
    """Return every version of a purpose's notice, oldest first."""
    return session.scalars(_OLDEST_FIRST.filter_by(purpose=purpose)).all()


def read_latest(session: Session) -> dict[str, PublishedNotice]:
    """Return the version in force of every purpose that has one."""
    return {row.purpose: row for row in session.scalars(_OLDEST_FIRST)}


def read_in_force(session: Session, moment: int) -> dict[str, Notice]:
    """Return the notice that was in force for every purpose at a moment (Unix milliseconds)."""
    query = _OLDEST_FIRST.where(PublishedNotice.published_at <= moment // 1000)
    latest = {row.purpose: row for row in session.scalars(query)}
    return {purpose: read_notice(row) for purpose, row in latest.items()}


def read_all(session: Session) -> Sequence[Notice]:
    """Return every notice that was ever in force, older ones first."""
    return [read_notice(row) for row in session.scalars(_OLDEST_FIRST)]


def find_version(session: Session, purpose: str, version: Semver) -> Notice:
    """Return one version. Raises UnknownError."""
    row = session.get(PublishedNotice, (purpose, *version))
    if row is None:
        raise UnknownError(f"no notice {version} for {purpose!r} was ever published")
    return read_notice(row)


def compare_texts(old: Notice, new: Notice) -> dict[str, list[str]]:
    """Return by language the unified diff of two versions' texts, for each that differs."""
    before, after = ({text.language: text for text in notice.texts} for notice in (old, new))
    diffs = {}
    for language in sorted({*before, *after}):
        texts = _lines(before.get(language)), _lines(after.get(language))
        diffs[language] = list(difflib.unified_diff(*texts, old.semver, new.semver, lineterm="", n=1))
    return {language: lines for language, lines in diffs.items() if lines}


def count_reconsent(session: Session, notice: Notice, now: int) -> Reconsent:
    """Return how many people the notice in force asks again at `now` (Unix milliseconds)."""
    major = StandingChoice.notice_version
    grants = (
        select(func.count())
        .select_from(StandingChoice)
        .filter_by(purpose=notice.purpose, state=GRANTED)
        .where((StandingChoice.expires_at == 0) | (StandingChoice.expires_at > now))
    )
    standing = session.scalar(grants.where(major == notice.version)) or 0
    outdated = session.scalar(grants.where(major < notice.version)) or 0
    whole = standing + outdated if min(standing, outdated) >= FLOOR else None
    return Reconsent(_floored(standing), _floored(outdated), whole)


def _floored(count: int) -> int | str:
    return count if count >= FLOOR else f"<{FLOOR}"


def _lines(text: NoticeText | None) -> Sequence[str]:
    return () if text is None else (text.title, *text.text.splitlines())
