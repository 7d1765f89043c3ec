"""The history of notices: every version that was ever in force, and what changed between two."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from covey_consent.errors import UnknownError
from covey_consent.notices.versions import Edition
from covey_consent.storage.models import PublishedNotice
from covey_privacy import wire
from covey_privacy.registry_messages import Notice, NoticeText
from covey_privacy.semver import Semver

_ORDER = (
    PublishedNotice.purpose, PublishedNotice.version, PublishedNotice.minor, PublishedNotice.patch,
)  # fmt: skip


def notice(row: PublishedNotice) -> Notice:
    """Return the notice that a row keeps."""
    return wire.decode(Notice, row.notice)


def versions(session: Session, purpose: str) -> Sequence[PublishedNotice]:
    """Return every version of a purpose's notice, oldest first."""
    return session.scalars(select(PublishedNotice).filter_by(purpose=purpose).order_by(*_ORDER)).all()


def latest(session: Session) -> dict[str, PublishedNotice]:
    """Return the version in force of every purpose that has one."""
    return {row.purpose: row for row in session.scalars(select(PublishedNotice).order_by(*_ORDER))}


def at(session: Session, moment: int) -> dict[str, Notice]:
    """Return the notice that was in force for every purpose at a moment (Unix milliseconds)."""
    query = select(PublishedNotice).where(PublishedNotice.published_at <= moment // 1000).order_by(*_ORDER)
    return {row.purpose: notice(row) for row in {row.purpose: row for row in session.scalars(query)}.values()}


def everything(session: Session) -> Sequence[Notice]:
    """Return every notice that was ever in force, older ones first."""
    return [notice(row) for row in session.scalars(select(PublishedNotice).order_by(*_ORDER))]


def newest(session: Session, purpose: str) -> Edition | None:
    """Return the version in force, None where there is none."""
    rows = versions(session, purpose)
    return Edition(notice(rows[-1]), rows[-1].terms) if rows else None


def sources(session: Session, purpose: str) -> tuple[str, ...]:
    """Return the files that a purpose's versions were made of, oldest first."""
    return tuple(row.source for row in versions(session, purpose))


def find(session: Session, purpose: str, version: Semver) -> Notice:
    """Return one version. Raises UnknownError."""
    row = session.get(PublishedNotice, (purpose, *version))
    if row is None:
        raise UnknownError(f"no notice {version} for {purpose!r} was ever published")
    return notice(row)


def changes(old: Notice, new: Notice) -> dict[str, list[str]]:
    """Return by language the unified diff of two versions' texts, for each that differs."""
    before, after = _by_language(old), _by_language(new)
    diffs = {
        language: _diff(before.get(language), after.get(language), (old.semver, new.semver))
        for language in sorted({*before, *after})
    }
    return {language: lines for language, lines in diffs.items() if lines}


def _by_language(of: Notice) -> Mapping[str, NoticeText]:
    return {text.language: text for text in of.texts}


def _diff(old: NoticeText | None, new: NoticeText | None, names: tuple[str, str]) -> list[str]:
    before, after = (() if text is None else (text.title, *text.text.splitlines()) for text in (old, new))
    return list(difflib.unified_diff(before, after, *names, lineterm="", n=1))
