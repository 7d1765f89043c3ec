"""Impact assessments (GDPR Art. 35, PIPL Art. 55 and 56), which a purpose of high risk needs.

One person writes an assessment and another approves it. The registry keeps the hash of the document; the
document itself stays with the officer. An expired one stops the next publication, but closes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from covey_consent.access.roles import same_person
from covey_consent.errors import ConflictError, DeniedError, RequestError, UnknownError
from covey_consent.policy import purposes
from covey_consent.storage.models import Assessment

Place = tuple[int, str]
"""Where a page of assessments begins: after the one of this time of writing and id."""


def propose(session: Session, written: Assessment) -> Assessment:
    """Store an unapproved assessment. Raises RequestError, or UnknownError for its purpose."""
    purposes.find(written.purpose)
    if written.valid_until <= written.written_at:
        raise RequestError("valid_until has passed already; an assessment holds until a later time")
    session.add(written)
    return written


def find(session: Session, assessment: str) -> Assessment:
    """Return the assessment. Raises UnknownError."""
    found = session.get(Assessment, assessment)
    if found is None:
        raise UnknownError(f"there is no assessment {assessment!r}; /v1/assessments lists them")
    return found


def approve(session: Session, assessment: str, approver: str, now: int) -> Assessment:
    """Approve an assessment at `now` (Unix seconds). Idempotent for one approver.

    Raises DeniedError for its own author, ConflictError where another approved it or its time is over.
    """
    found = find(session, assessment)
    if same_person(found.author, approver):
        raise DeniedError(f"{approver!r} wrote this assessment; another person has to approve it")
    if found.approved_by not in (None, approver):
        raise ConflictError(f"this assessment is approved already, by {found.approved_by!r}")
    if found.valid_until <= now:
        raise ConflictError("this assessment's time is over; write a new one")
    if found.approved_by is None:
        found.approved_by, found.approved_at = approver, now
    return found


def require(session: Session, purpose: str, now: int) -> None:
    """Raise ConflictError unless the purpose has an approved assessment that holds at `now`."""
    approved = (
        select(Assessment.id)
        .filter_by(purpose=purpose)
        .where(Assessment.approved_by.is_not(None), Assessment.valid_until > now)
    )
    if session.scalar(approved.limit(1)) is None:
        raise ConflictError(
            f"purpose {purpose!r} is of high risk and has no approved impact assessment that holds now; "
            "bring one to /v1/assessments, and have another person approve it"
        )


def listed(
    session: Session, purpose: str | None, after: Place | None = None, limit: int | None = None
) -> Sequence[Assessment]:
    """Return the assessments of one purpose, or of all, the oldest first."""
    query = select(Assessment).order_by(Assessment.written_at, Assessment.id).limit(limit)
    if after is not None:
        query = query.where(tuple_(Assessment.written_at, Assessment.id) > after)
    return session.scalars(query if purpose is None else query.filter_by(purpose=purpose)).all()
