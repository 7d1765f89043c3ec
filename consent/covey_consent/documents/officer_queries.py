"""Officers' queries: who allowed a purpose at a time, people by pseudonym or reference, rounds."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from covey_consent.decisions import history, subjects
from covey_consent.decisions.unit_of_work import YES
from covey_consent.decisions.verdicts import Verdict, judge
from covey_consent.errors import ConflictError
from covey_consent.notices import history as notice_history
from covey_consent.policy import purposes
from covey_consent.rounds.evidence import evidence_of
from covey_consent.rounds.manifests import manifest_of
from covey_consent.storage import key_file
from covey_consent.storage.models import HOUR, Device, Event, LoggedRound, Subject, SubjectReference
from covey_consent.storage.store import select_in
from covey_privacy.registry_messages import Notice
from covey_privacy.signatures import SigningKey


@dataclass(frozen=True, slots=True)
class AllowingPerson:
    """A person who allowed a purpose; event and notice are empty where law or contract allow it."""

    subject: str
    event: str
    notice: str
    allowed_at: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class PersonMatch:
    """A person; `enrolled_at` is the begin of an hour, in Unix seconds."""

    subject: str
    enrolled_at: int
    devices: int


_PEOPLE = (
    select(Subject.subject, Subject.enrolled_hour, func.count(Device.key))
    .outerjoin(Device, Device.subject == Subject.subject)
    .group_by(Subject.subject, Subject.enrolled_hour)
)
"""People with the number of their devices."""

EARLIER = "earlier version"
"""The outcome shown for a round whose evidence was logged by an earlier version and cannot be read."""


@dataclass(frozen=True, slots=True)
class RoundLine:
    """A round as the log has it; `outcome` is "" while it has no evidence."""

    round_id: str
    query: str
    purpose: str
    purposes: str
    epoch: int
    epsilon: float
    epsilon_so_far: float | None
    delta: float
    sigma: float
    cohort: int | None
    outcome: str
    manifest_index: int
    evidence_index: int | None


def allowing(
    session: Session, purpose: str, at: int, after: str, count: int
) -> tuple[list[AllowingPerson], str | None]:
    """Return the people who allowed the purpose at `at` (Unix milliseconds), sorted, after a pseudonym.

    Judges at most `count` people, by the events that are known now and the notices of that time. Also returns
    the last pseudonym judged, None where there are no more.
    """
    needs_consent = purposes.find(purpose).needs_consent
    people = _candidates(session, purpose, at, after, count + 1, needs_consent=needs_consent)
    judged = people[:count]
    events: dict[str, list[Event]] = {subject: [] for subject in judged}
    for event in select_in(session, select(Event).where(history.counted(at)), Event.subject, judged):
        events[event.subject].append(event)
    notices = notice_history.read_in_force(session, at)
    found = [_allowing(subject, events[subject], purpose, at, notices) for subject in judged]
    return [one for one in found if one is not None], judged[-1] if len(people) > count else None


def by_prefix(session: Session, prefix: str, after: str, count: int) -> list[PersonMatch]:
    """Return the people whose pseudonym begins with these hex digits, sorted, after a pseudonym."""
    end = prefix + "g"  # Sorts after every text that begins with the prefix.
    query = _PEOPLE.where(Subject.subject >= prefix, Subject.subject < end, Subject.subject > after)
    return _matches(session, query.order_by(Subject.subject).limit(count))


def by_reference(session: Session, key: SigningKey, reference: str) -> list[PersonMatch]:
    """Return the person with this reference of the shop, an empty list where there is none."""
    query = _PEOPLE.join(SubjectReference, SubjectReference.subject == Subject.subject)
    return _matches(session, query.where(SubjectReference.digest == digest(key, reference)))


def refer(session: Session, key: SigningKey, subject: str, reference: str) -> None:
    """Store the reference by which the shop knows a person, in place of an earlier one.

    Raises UnknownError, and ConflictError where the reference is another person's.
    """
    subjects.find(session, subject)
    kept = digest(key, reference)
    holder = session.scalar(select(SubjectReference.subject).filter_by(digest=kept))
    if holder is not None and holder != subject:
        raise ConflictError("this reference is another person's; take it from them first, or give another")
    session.merge(SubjectReference(subject=subject, digest=kept))


def digest(key: SigningKey, reference: str) -> bytes:
    """Return the digest of a reference: HMAC-SHA256 under a key derived from the registry's."""
    return hmac.digest(key_file.derive(key, "shop references"), reference.encode(), "sha256")


def list_rounds(session: Session, after: int, count: int) -> list[RoundLine]:
    """Return logged rounds in the order of the log, from after the manifest at this index."""
    query = select(LoggedRound).where(LoggedRound.manifest_index > after).order_by(LoggedRound.manifest_index)
    return [_line(row) for row in session.scalars(query.limit(count))]


def _candidates(
    session: Session, purpose: str, at: int, after: str, count: int, *, needs_consent: bool
) -> Sequence[str]:
    if needs_consent:
        query = select(Event.subject).distinct().where(Event.purpose == purpose, Event.state.in_(YES))
        query = query.where(history.counted(at), Event.subject > after).order_by(Event.subject)
    else:
        query = select(Subject.subject).where(Subject.enrolled_hour * HOUR * 1000 <= at)
        query = query.where(Subject.subject > after).order_by(Subject.subject)
    return session.scalars(query.limit(count)).all()


def _allowing(
    subject: str, events: Sequence[Event], purpose: str, at: int, notices: Mapping[str, Notice]
) -> AllowingPerson | None:
    standings = history.replay(sorted(events, key=lambda event: event.id))
    if judge(standings, purpose, notices, at) is not Verdict.ALLOWED:
        return None
    said = [event for event in events if event.purpose == purpose and event.state in YES]
    if not said:
        return AllowingPerson(subject, "", "", 0, 0)
    last = max(said, key=lambda event: (event.counts_at, event.id))
    return AllowingPerson(subject, last.event, last.notice, last.at, last.expires_at)


def _matches(session: Session, query: Select[str, int, int]) -> list[PersonMatch]:
    rows = session.execute(query)
    return [PersonMatch(subject, hour * HOUR, devices) for subject, hour, devices in rows]


def _line(row: LoggedRound) -> RoundLine:
    manifest, evidence = manifest_of(row), evidence_of(row)
    unread = EARLIER if row.evidence is not None else ""
    return RoundLine(
        manifest.round_id, manifest.query, manifest.purpose, "+".join(manifest.purposes), manifest.epoch,
        manifest.epsilon, evidence.epsilon_so_far if evidence else None, manifest.delta, manifest.sigma,
        evidence.cohort if evidence else None, evidence.outcome if evidence else unread,
        row.manifest_index, row.evidence_index,
    )  # fmt: skip
