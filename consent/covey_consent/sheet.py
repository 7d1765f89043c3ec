"""A sheet: what the tables say of some people, read at once, changed in memory, written back at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.orm import Session

from covey_consent import ages, states, subjects
from covey_consent.acts import GUARDIAN, Act
from covey_consent.epochs import Calendar
from covey_consent.errors import DeniedError
from covey_consent.models import Base, Event, Subject, SubjectKey
from covey_consent.purposes import find
from covey_consent.store import all_in, listed
from covey_privacy.consent import GRANTED

_CHOICES, _EVENTS = (Base.metadata.tables[name] for name in ("choices", "events"))


_UPDATE = update(_CHOICES).where(
    _CHOICES.c.subject == bindparam("person"), _CHOICES.c.purpose == bindparam("reason")
)
_INSERT = insert(_CHOICES).values(subject=bindparam("person"), purpose=bindparam("reason"))


class Person(NamedTuple):
    """What decides whether a person consents alone, and the key that seals what is kept of them."""

    country: str
    birth_year: int | None
    wrapped: bytes


class Choice(NamedTuple):
    """A standing choice, as its columns."""

    state: str
    notice_version: int
    at: int
    expires_at: int


Key = tuple[str, str]
"""A person and a purpose."""

NOTHING = Choice(states.NONE, 0, 0, 0)


@dataclass(slots=True)
class Sheet:
    """The people, their choices, the digests of acts recorded before; and the rows of new events."""

    calendar: Calendar
    people: Mapping[str, Person]
    standing: Mapping[Key, Choice]
    recorded: set[bytes]
    changed: dict[Key, Choice] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def read(cls, session: Session, acts: Iterable[Act], calendar: Calendar) -> Sheet:
        """Read what the acts are about."""
        acts = list(acts)
        named = {act.subject for act in acts}
        digests = {act.digest for act in acts if act.signed}
        return cls(calendar, _people(session, named), _standing(session, named), _recorded(session, digests))

    def stand(self, acts: Sequence[Act]) -> dict[bytes, Act]:
        """Let the acts stand, all or none; return by digest those that were not recorded before.

        Raises UnknownError for a stranger, DeniedError for a child alone, ConflictError for what cannot
        follow what stands.
        """
        fresh = {act.digest: act for act in acts}
        fresh = {digest: act for digest, act in fresh.items() if digest not in self.recorded}
        after: dict[Key, Choice] = {}
        for act in fresh.values():
            self._require_may(act)
            key = act.subject, act.purpose
            before = after.get(key) or self.changed.get(key) or self.standing.get(key) or NOTHING
            after[key] = self._follow(before, act)
        self.changed |= after
        self.recorded |= fresh.keys()
        return fresh

    def write(self, session: Session) -> None:
        """Write the new events, and the choices that stand after them."""
        connection = session.connection()
        rows = [
            {"person": subject, "reason": purpose, **choice._asdict()}
            for (subject, purpose), choice in self.changed.items()
        ]
        known = [row for row in rows if (row["person"], row["reason"]) in self.standing]
        fresh = [row for row in rows if (row["person"], row["reason"]) not in self.standing]
        for statement, parameters in ((_UPDATE, known), (_INSERT, fresh), (insert(_EVENTS), self.events)):
            if parameters:
                connection.execute(statement, parameters)

    def _require_may(self, act: Act) -> None:
        person = self.people.get(act.subject)
        if person is None:
            raise subjects.unknown()
        if act.state == GRANTED and act.actor != GUARDIAN and find(act.purpose).needs_consent:
            year = datetime.fromtimestamp(self.calendar.now, UTC).year
            if ages.is_child(person.birth_year, person.country, year):
                raise DeniedError(
                    f"below {ages.of_consent(person.country)} years a guardian consents for a child; link "
                    "the guardian, and let them say yes"
                )

    def _follow(self, before: Choice, act: Act) -> Choice:
        # A no from a clock that runs ahead counts, and does not lock out the grants that follow it.
        at = min(act.at, self.calendar.latest)
        if at < before.at:
            return before
        return Choice(states.follow(before.state, act.state), act.version, at, act.expires_at)


def _people(session: Session, named: Iterable[str]) -> Mapping[str, Person]:
    asked = listed(session, named)
    query = (
        select(Subject.subject, Subject.country, Subject.birth_year, SubjectKey.wrapped)
        .join(SubjectKey, SubjectKey.subject == Subject.subject)
        .join(asked, asked.c.value == Subject.subject)
    )
    return {row.subject: Person(row.country, row.birth_year, row.wrapped) for row in session.execute(query)}


def _standing(session: Session, named: Iterable[str]) -> Mapping[Key, Choice]:
    asked = listed(session, named)
    query = select(*_CHOICES.c).join(asked, asked.c.value == _CHOICES.c.subject)
    return {
        (row.subject, row.purpose): Choice(row.state, row.notice_version, row.at, row.expires_at)
        for row in session.execute(query)
    }


def _recorded(session: Session, digests: Iterable[bytes]) -> set[bytes]:
    return set(all_in(session, select(Event.digest), Event.digest, digests))
