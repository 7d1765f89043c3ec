"""A person's history: every event, and what stood at any time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from covey_consent.decisions import states, subjects
from covey_consent.decisions.unit_of_work import NOTHING, Choice
from covey_consent.decisions.verdicts import Standing, Standings
from covey_consent.errors import ConflictError
from covey_consent.notices import history as notices
from covey_consent.storage.models import Event, EventReason
from covey_consent.storage.store import all_in
from covey_privacy.registry_messages import Notice


class Then(NamedTuple):
    """What stood at a time, and the notices that were in force."""

    standings: Standings
    notices: Mapping[str, Notice]


def page(session: Session, subject: str, after: int, count: int) -> Sequence[Event]:
    """Return at most `count` of the person's events, oldest first, from after the one of this id.

    Raises UnknownError where there is no such person.
    """
    subjects.find(session, subject)
    query = select(Event).where(Event.subject == subject, Event.id > after).order_by(Event.id).limit(count)
    return session.scalars(query).all()


def as_of(session: Session, subject: str, at: int) -> Then:
    """Return what stood for the person at `at` (Unix milliseconds), as events known by now tell it.

    Raises UnknownError where there is no such person.
    """
    subjects.find(session, subject)
    query = select(Event).where(Event.subject == subject, counted(at)).order_by(Event.id)
    return Then(replay(session.scalars(query)), notices.read_in_force(session, at))


def counted(at: int) -> ColumnElement[bool]:
    """Select the events that count at `at` (Unix milliseconds)."""
    # What a clock that ran ahead dated later counts from when it arrived.
    return (Event.counts_at <= at) | (Event.received_at <= at)


def replay(events: Iterable[Event]) -> Standings:
    """Return what stands after one person's events, which come in the order of their ids."""
    stood: dict[str, Choice] = {}
    for event in events:
        # Without what was said later, what followed it may have nothing to follow.
        with suppress(ConflictError):
            stood[event.purpose] = stood.get(event.purpose, NOTHING).follow(event, event.counts_at)
    return {purpose: _standing(choice) for purpose, choice in stood.items()}


def reasons(session: Session, events: Sequence[Event]) -> Mapping[str, str]:
    """Return by event why an officer recorded it on the person's behalf, of those that have a reason."""
    query = select(EventReason)
    return {
        row.event: row.reason for row in all_in(session, query, EventReason.event, [e.event for e in events])
    }


def objected_by(session: Session, subject: str, purpose: str, method: str) -> bool:
    """Say whether the person ever objected to the purpose by this method."""
    query = select(Event.id).filter_by(subject=subject, purpose=purpose, state=states.OBJECTED, method=method)
    return session.scalar(query.limit(1)) is not None


def _standing(choice: Choice) -> Standing:
    return Standing(choice.state, choice.notice_version, choice.expires_at)
