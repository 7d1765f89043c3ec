"""Decisions: what may be recorded, of whom, and on what proof.

A yes has to prove what it was made on. A no is always taken: of any notice's version, by any method, however
old.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from covey_consent import notices
from covey_consent.decisions.consent_event import SUBJECT, Act
from covey_consent.decisions.verdicts import Standings, Verdict, judge
from covey_consent.errors import ConflictError, DeniedError, RequestError
from covey_consent.notices.in_force import InForce
from covey_consent.policy import purposes
from covey_consent.tickets.epoch_calendar import Calendar
from covey_privacy.registry_messages import GRANTED, METHODS, REFUSED, WITHDRAWN, Decision, Notice

EXPLICIT = "dialog"
"""The one method by which a person may say yes to what needs explicit consent."""

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Grant:
    """What a yes has to prove: by which act, on which text of which notice; `at` in Unix milliseconds."""

    purpose: str
    notice_version: int
    language: str
    text_digest: bytes
    method: str
    at: int


def check(decision: Decision, current: InForce, calendar: Calendar) -> None:
    """Raise unless a device's decision can be taken under the notices in force."""
    if decision.state not in (GRANTED, REFUSED, WITHDRAWN):
        raise RequestError(f"a decision is granted, refused or withdrawn; {decision.state!r} arrived")
    purposes.find(decision.purpose)
    if decision.state == GRANTED:
        grant = Grant(
            decision.purpose, decision.notice_version, decision.language, decision.text_digest,
            decision.method, decision.at,
        )  # fmt: skip
        check_grant(grant, current, calendar)


def check_grant(grant: Grant, current: InForce, calendar: Calendar) -> Notice:
    """Return the notice that the person agreed to, raise unless it asks for what is asked now.

    An earlier minor or patch of the major in force will do: it asked for the same.
    """
    notice = notices.find(current, grant.purpose)
    allowed = (EXPLICIT,) if purposes.find(grant.purpose).explicit else METHODS
    if grant.method not in allowed:
        raise RequestError(
            f"a grant of {grant.purpose!r} is made by {', '.join(allowed)}; {grant.method!r} is none of them"
        )
    if not calendar.accepts(grant.at):
        raise RequestError(f"a grant is dated {calendar.says(grant.at)}; set the clock, or ask anew")
    if grant.notice_version != notice.version:
        raise ConflictError(
            f"the notice for {notice.purpose!r} is version {notice.version}; the grant is for version "
            f"{grant.notice_version}: show the new one and ask again"
        )
    shown = current.edition(grant.purpose, grant.language, grant.text_digest)
    if shown is None:
        raise RequestError(
            f"the grant names a text that is not the notice for {notice.purpose!r} in {grant.language!r}; "
            f"it is written in {', '.join(text.language for text in notice.texts)}"
        )
    return shown


def of_devices(
    people: Mapping[bytes, str], signed: Sequence[bytes], decisions: Sequence[Decision], current: InForce
) -> list[Act]:
    """Return the acts of checked decisions with their signed bytes; `people` says whose each device is."""
    return [
        _of_device(people[decision.device], data, decision, current)
        for data, decision in zip(signed, decisions, strict=True)
    ]


def _of_device(subject: str, signed: bytes, decision: Decision, current: InForce) -> Act:
    shown = current.edition(decision.purpose, decision.language, decision.text_digest)
    return Act(
        subject, decision.purpose, decision.state, SUBJECT, decision.method, decision.at,
        # A no may be about a text that is long replaced: its major is all that is known of it.
        notice=shown.semver if shown else str(decision.notice_version), version=decision.notice_version,
        language=decision.language, text=decision.text_digest, signed=signed,
        expires_at=expiry(decision.purpose, decision.at) if decision.state == GRANTED else 0,
    )  # fmt: skip


def expiry(purpose: str, at: int) -> int:
    """Return until when a grant of `at` holds, in Unix milliseconds, 0 for until it is withdrawn."""
    days = purposes.find(purpose).valid_days
    return 0 if days is None else at + days * DAY_MS


def require_granted(
    standings: Standings, wanted: Iterable[str], current: Mapping[str, Notice], now: int
) -> None:
    """Raise DeniedError unless the choices allow every wanted purpose at `now` (Unix milliseconds)."""
    for name in wanted:
        found = judge(standings, name, current, now)
        if found is not Verdict.ALLOWED:
            raise DeniedError(
                f"purpose {name!r} is not granted under notice version {current[name].version}: {found}"
            )
