"""Decisions: what a person said to one purpose, on one text of one notice; and the choice that stands.

A yes has to prove what it was made on. A no is always taken: of any notice's version, by any method, however
old. The decision with the later time stands, whichever arrives first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from covey_consent import enrolments, notices, purposes
from covey_consent.epochs import Calendar
from covey_consent.errors import ConflictError, DeniedError, RequestError
from covey_consent.models import Device, SignedDecision, StandingChoice
from covey_consent.store import all_in
from covey_privacy.consent import GRANTED, REFUSED, WITHDRAWN, Choice, Decision, Notice

METHODS = ("toggle", "dialog", "settings")
"""How a person may say yes: by an act of their own, for this purpose alone."""

_CHOICES = (
    select(StandingChoice.purpose, StandingChoice.state, StandingChoice.notice_version)
    .select_from(Device)
    .outerjoin(StandingChoice)
    .where(Device.key == bindparam("device"))
    .order_by(StandingChoice.purpose)
)


def check(decision: Decision, current: Mapping[str, Notice], calendar: Calendar) -> None:
    """Raise unless the decision can be taken under the notices in force."""
    if decision.state not in (GRANTED, REFUSED, WITHDRAWN):
        raise RequestError(f"a decision is granted, refused or withdrawn; {decision.state!r} arrived")
    purposes.find(decision.purpose)
    if decision.state == GRANTED:
        _check_grant(decision, notices.find(current, decision.purpose), calendar)


def record(
    session: Session, signed: Sequence[bytes], decisions: Sequence[Decision], calendar: Calendar
) -> None:
    """Keep checked decisions with their signed bytes and let the latest stand. Once is as good as twice."""
    enrolments.require(session, {decision.device for decision in decisions})
    digests = [hashlib.sha256(data).digest() for data in signed]
    seen = set(all_in(session, select(SignedDecision.digest), SignedDecision.digest, digests))
    standing = _standing(session, {decision.device for decision in decisions})
    for digest, data, decision in zip(digests, signed, decisions, strict=True):
        if digest not in seen:
            seen.add(digest)
            session.add(_evidence(digest, data, decision, calendar))
            _stand(session, standing, decision, calendar)


def choices(session: Session, device: bytes) -> tuple[Choice, ...]:
    """Return the device's standing choices. Raises UnknownError when it is not enrolled."""
    rows = session.execute(_CHOICES, {"device": device}).all()
    if not rows:
        raise enrolments.not_enrolled(device)
    return tuple(Choice(*row) for row in rows if row.purpose is not None)


def require_granted(standing: Iterable[Choice], wanted: Iterable[str], current: Mapping[str, Notice]) -> None:
    """Raise DeniedError unless the choices allow every wanted purpose under the notice in force."""
    granted = {(choice.purpose, choice.notice_version) for choice in standing if choice.state == GRANTED}
    for name in wanted:
        if purposes.find(name).needs_consent and (name, current[name].version) not in granted:
            raise DeniedError(f"purpose {name!r} is not granted under notice version {current[name].version}")


def _check_grant(decision: Decision, notice: Notice, calendar: Calendar) -> None:
    if decision.method not in METHODS:
        raise RequestError(f"a grant is made by {', '.join(METHODS)}; {decision.method!r} is none of them")
    if not calendar.accepts(decision.at):
        raise RequestError(f"a grant is dated {calendar.says(decision.at)}; set the clock, or ask anew")
    if decision.notice_version != notice.version:
        raise ConflictError(
            f"the notice for {notice.purpose!r} is version {notice.version}; the grant is for version "
            f"{decision.notice_version}: show the new one and ask again"
        )
    shown = {text.language: text.digest for text in notice.texts}
    if shown.get(decision.language) != decision.text_digest:
        raise RequestError(
            f"the grant names a text that is not the notice for {notice.purpose!r} in {decision.language!r}; "
            f"it is written in {', '.join(shown)}"
        )


def _evidence(digest: bytes, signed: bytes, decision: Decision, calendar: Calendar) -> SignedDecision:
    return SignedDecision(digest=digest, device=decision.device, received_at=calendar.now, signed=signed)


def _stand(
    session: Session,
    standing: dict[tuple[bytes, str], StandingChoice],
    decision: Decision,
    calendar: Calendar,
) -> None:
    """Let the decision stand unless a later one does."""
    key = decision.device, decision.purpose
    # A no from a clock that runs ahead counts, and does not lock out the grants that follow it.
    at = min(decision.at, calendar.latest)
    choice = standing.get(key)
    if choice is None:
        choice = standing[key] = StandingChoice(device=decision.device, purpose=decision.purpose)
        session.add(choice)
    elif at < choice.at:
        return
    choice.state, choice.notice_version, choice.at = decision.state, decision.notice_version, at


def _standing(session: Session, devices: Iterable[bytes]) -> dict[tuple[bytes, str], StandingChoice]:
    rows = all_in(session, select(StandingChoice), StandingChoice.device, devices)
    return {(choice.device, choice.purpose): choice for choice in rows}
