"""Notice receipts: evidence that a person was shown a text, apart from their answer (GDPR Art. 7(1))."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from covey_consent.decisions import subjects
from covey_consent.errors import RequestError
from covey_consent.notices import history
from covey_consent.policy.epoch_calendar import Calendar
from covey_consent.storage.models import ServedNotice
from covey_privacy.semver import Semver


def record(session: Session, shown: ServedNotice, calendar: Calendar) -> ServedNotice:
    """Record that a text was shown. Idempotent.

    Raises RequestError when it is not the text of that version in that language, or is dated wrongly, and
    UnknownError for an unknown person or version.
    """
    subjects.find(session, shown.subject)
    if not calendar.accepts(shown.at):
        raise RequestError(f"the text was shown {calendar.says(shown.at)}; set the clock, or tell in time")
    notice = history.find_version(session, shown.purpose, Semver.parse(shown.version))
    digests = {text.language: text.digest for text in notice.texts}
    if digests.get(shown.language) != shown.text_digest:
        raise RequestError(
            f"this is not the text of notice {shown.version} for {shown.purpose!r} in {shown.language!r}; "
            f"it is written in {', '.join(digests)}"
        )
    same = {"subject": shown.subject, "text_digest": shown.text_digest, "place": shown.place, "at": shown.at}
    known = session.scalar(select(ServedNotice).filter_by(**same))
    if known is None:
        session.add(shown)
        session.flush()
    return known or shown


def was_shown(session: Session, subject: str, text: bytes) -> bool:
    """Return whether the person was shown the text with this digest."""
    query = select(ServedNotice.id).filter_by(subject=subject, text_digest=text).limit(1)
    return session.scalar(query) is not None


def shown_to(session: Session, subject: str, after: int, limit: int) -> Sequence[ServedNotice]:
    """Return a page of the texts that a person was shown, after the record of id `after`."""
    query = select(ServedNotice).filter_by(subject=subject).where(ServedNotice.id > after)
    return session.scalars(query.order_by(ServedNotice.id).limit(limit)).all()
