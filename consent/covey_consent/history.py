"""A person's history: every event, and what stood at any time."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from covey_consent import states, subjects
from covey_consent.models import Event
from covey_consent.verdicts import Standing, Standings


def page(session: Session, subject: str, after: int, count: int) -> Sequence[Event]:
    """Return at most `count` of the person's events, oldest first, from after the one of this id.

    Raises UnknownError where there is no such person.
    """
    subjects.find(session, subject)
    query = select(Event).where(Event.subject == subject, Event.id > after).order_by(Event.id).limit(count)
    return session.scalars(query).all()


def as_of(session: Session, subject: str, at: int) -> Standings:
    """Return what stood for the person at `at` (Unix milliseconds), as events known by now tell it."""
    query = select(Event).where(Event.subject == subject, Event.at <= at).order_by(Event.at, Event.id)
    stood: dict[str, Standing] = {}
    for event in session.scalars(query):
        before = stood.get(event.purpose)
        state = states.follow(states.NONE if before is None else before.state, event.state)
        stood[event.purpose] = Standing(state, event.version, event.expires_at)
    return stood
