"""A sheet: what the tables say of some people, read at once, changed in memory, written back at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.orm import Session

from covey_consent.decisions import states, subjects
from covey_consent.decisions.consent_event import GUARDIAN, SUBJECT, SYSTEM, Act
from covey_consent.errors import DeniedError
from covey_consent.policy import ages
from covey_consent.policy.purposes import find
from covey_consent.policy.transfers import CONSENT, ENDS, Transfers
from covey_consent.storage.models import Base, Event, Subject, SubjectKey
from covey_consent.storage.store import all_in, gathered, listed
from covey_consent.tickets.epoch_calendar import Calendar
from covey_privacy.registry_messages import GRANTED, WITHDRAWN

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

    def follow(self, said: Act | Event, counts_at: int) -> Choice:
        """Return what stands after what was said. Raises ConflictError where it cannot follow."""
        if max(said.at, counts_at) < self.at:
            return self
        return Choice(states.follow(self.state, said.state), said.version, counts_at, said.expires_at)


class Taken(NamedTuple):
    """An act that was not recorded before, and where it counts (see `Event`)."""

    digest: bytes | None
    act: Act
    counts_at: int


Key = tuple[str, str]
"""A person and a purpose."""

YES = (GRANTED, states.RENEWED)

THEIRS = (SUBJECT, GUARDIAN)
"""Who undoes an objection: nobody at the shop."""

NOTHING = Choice(states.NONE, 0, 0, 0)


@dataclass(slots=True)
class Sheet:
    """The people, their choices, the digests of acts recorded before; and the rows of new events."""

    calendar: Calendar
    transfers: Transfers
    people: Mapping[str, Person]
    standing: Mapping[Key, Choice]
    recorded: set[bytes]
    changed: dict[Key, Choice] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def read(cls, session: Session, acts: Sequence[Act], calendar: Calendar, transfers: Transfers) -> Sheet:
        """Read what the acts are about."""
        named = {act.subject for act in acts}
        digests = {act.digest for act in acts if act.digest}
        people, standing = _people(session, named), _standing(session, named)
        return cls(calendar, transfers, people, standing, _recorded(session, digests))

    def stand(self, acts: Sequence[Act]) -> list[Taken]:
        """Let the acts stand, all or none; return those not recorded before, and what ends with them.

        Raises UnknownError for a stranger, DeniedError for a yes that is not the actor's to say or for data
        that may not go abroad, ConflictError for what cannot follow what stands.
        """
        after: dict[Key, Choice] = {}
        taken = []
        for digest, act in self._fresh(acts):
            self._require_may(act, after)
            taken.append(self._take(digest, act, after))
        for subject in [subject for subject, purpose in after if purpose == CONSENT]:
            taken += [self._take(None, act, after) for act in self._stranded(subject, after)]
        self.changed |= after
        self.recorded |= {one.digest for one in taken if one.digest}
        return taken

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

    def _fresh(self, acts: Sequence[Act]) -> Iterator[tuple[bytes | None, Act]]:
        """Yield the acts not recorded before, each once, with their digests."""
        seen: set[bytes] = set()
        for act in acts:
            digest = act.digest
            if digest is None:
                yield None, act
            elif digest not in self.recorded and digest not in seen:
                seen.add(digest)
                yield digest, act

    def _now(self, key: Key, after: Mapping[Key, Choice]) -> Choice:
        return after.get(key) or self.changed.get(key) or self.standing.get(key) or NOTHING

    def _take(self, digest: bytes | None, act: Act, after: dict[Key, Choice]) -> Taken:
        key = act.subject, act.purpose
        before = self._now(key, after)
        counts_at = self._counts_at(act, before)
        after[key] = before.follow(act, counts_at)
        return Taken(digest, act, counts_at)

    def _require_may(self, act: Act, after: Mapping[Key, Choice]) -> None:
        person = self.people.get(act.subject)
        if person is None:
            raise subjects.unknown()
        if act.state not in YES:
            return
        self._require_unopposed(act, after)
        abroad = self.transfers.of(person.country).get(act.purpose)
        if abroad and not self._may_leave(act.subject, after):
            raise DeniedError(
                f"under {act.purpose!r} data of people in {person.country} go to {', '.join(abroad)}: that "
                f"takes a yes to {CONSENT!r} before, in a dialogue of its own (PIPL Art. 39)"
            )
        alone = act.actor != GUARDIAN and find(act.purpose).needs_consent
        if alone and ages.is_child(person.birth_year, person.country, self.calendar.year):
            raise DeniedError(
                f"below {ages.of_consent(person.country)} years a guardian consents for a child; link "
                "the guardian, and let them say yes"
            )

    def _require_unopposed(self, act: Act, after: Mapping[Key, Choice]) -> None:
        objected = self._now((act.subject, act.purpose), after).state == states.OBJECTED
        if objected and act.actor not in THEIRS:
            raise DeniedError(
                f"the person objected to {act.purpose!r}, and only they themselves undo that: let them say "
                "yes with a token or a phone of their own"
            )

    def _may_leave(self, subject: str, after: Mapping[Key, Choice]) -> bool:
        choice = self._now((subject, CONSENT), after)
        return self.transfers.agreed(choice.state, choice.notice_version)

    def _stranded(self, subject: str, after: Mapping[Key, Choice]) -> list[Act]:
        """Return what ends the grants under which the person's data went abroad, where they no longer may."""
        abroad = self.transfers.of(self.people[subject].country)
        if not abroad or self._may_leave(subject, after):
            return []
        standing = ((purpose, self._now((subject, purpose), after)) for purpose in abroad)
        return [
            Act(
                subject, purpose, WITHDRAWN, SYSTEM, ENDS,
                self.calendar.milliseconds, version=choice.notice_version,
            )
            for purpose, choice in standing
            if choice.state == GRANTED
        ]  # fmt: skip

    def _counts_at(self, act: Act, before: Choice) -> int:
        now = self.calendar.milliseconds
        if not act.signed:
            # Said here and now: it follows whatever came before, also from a clock that runs ahead.
            return max(act.at, before.at)
        if act.state in YES:
            # A no that is said after a yes arrived is never the older one, whatever the yes's clock said.
            return min(act.at, now)
        # A no from a clock that runs ahead does not lock out the grants that follow it; one from a clock that
        # is slow, as far as clocks may differ, still ends what came before.
        at = min(act.at, self.calendar.latest)
        return max(at, before.at) if at + self.calendar.tolerance >= min(before.at, now) else at


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
    columns = (_CHOICES.c.subject, _CHOICES.c.purpose, *(_CHOICES.c[name] for name in Choice._fields))
    query = select(*columns).join(asked, asked.c.value == _CHOICES.c.subject)
    return {(subject, purpose): Choice(*rest) for subject, purpose, *rest in gathered(session, query)}


def _recorded(session: Session, digests: Iterable[bytes]) -> set[bytes]:
    return set(all_in(session, select(Event.digest), Event.digest, digests))
