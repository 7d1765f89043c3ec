"""Grants: what a person's yes has to prove before it is recorded.

A grant names the text of the notice in force that it was made on. A refusal or withdrawal is always taken:
of any notice's version, by any method, however old.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from covey_consent import notices
from covey_consent.decisions.consent_event import SUBJECT, ConsentEvent
from covey_consent.errors import ConflictError, RequestError
from covey_consent.notices.in_force import InForce
from covey_consent.policy import purposes
from covey_consent.policy.epoch_calendar import Calendar
from covey_privacy.registry_messages import GRANTED, METHODS, REFUSED, WITHDRAWN, Decision, Notice

EXPLICIT = "dialog"
"""The one method of a grant that needs explicit consent."""

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Grant:
    """What a yes has to prove: its method, and the text of the notice; `at` in Unix milliseconds."""

    purpose: str
    notice_version: int
    language: str
    text_digest: bytes
    method: str
    at: int


def check_decision(decision: Decision, current: InForce, calendar: Calendar) -> None:
    """Raise unless a device's decision is valid under the notices in force."""
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
    """Return the notice that the person agreed to; raise unless its major version is in force.

    An earlier minor or patch of that major is accepted: it asked for the same.
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


def events_of_devices(
    people: Mapping[bytes, str], signed: Sequence[bytes], decisions: Sequence[Decision], current: InForce
) -> list[ConsentEvent]:
    """Return the events of checked decisions with their signed bytes; `people` has each device's person."""
    events = []
    for data, decision in zip(signed, decisions, strict=True):
        shown = current.edition(decision.purpose, decision.language, decision.text_digest)
        event = ConsentEvent(
            people[decision.device], decision.purpose, decision.state, SUBJECT, decision.method, decision.at,
            # A no may be about a text that is long replaced: its major is all that is known of it.
            notice=shown.semver if shown else str(decision.notice_version), version=decision.notice_version,
            language=decision.language, text=decision.text_digest, signed=data,
            expires_at=expiry(decision.purpose, decision.at) if decision.state == GRANTED else 0,
        )  # fmt: skip
        events.append(event)
    return events


def expiry(purpose: str, at: int) -> int:
    """Return when a grant of `at` expires, in Unix milliseconds, 0 for never."""
    days = purposes.find(purpose).valid_days
    return 0 if days is None else at + days * DAY_MS
