"""The unit of work: load the subjects' rows, apply consent events, flush.

- The event with the later time stands, whichever arrives first; where clocks cannot tell, the refusal does.
- Events of one group are recorded all or none. A signed event is recorded once.
- Each new event is sealed under its person's key, and its commitment is promised for the log.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.orm import Session

from covey_consent.decisions import states, subjects
from covey_consent.decisions.consent_event import (
    GUARDIAN,
    SALT_LENGTH,
    SUBJECT,
    SYSTEM,
    CommitmentOpening,
    CommittedRecord,
    ConsentEvent,
    Record,
    commit,
)
from covey_consent.errors import ConsentRegistryError, DeniedError
from covey_consent.policy import ages, purposes
from covey_consent.policy.epoch_calendar import Calendar
from covey_consent.policy.transfers import CONSENT, ENDS, Transfers
from covey_consent.storage.models import Base, Event, StandingChoice, Subject, SubjectKey
from covey_consent.storage.store import key_table, rows_as_json, select_in
from covey_consent.storage.uuid7 import uuid7
from covey_consent.storage.vault import Vault
from covey_consent.transparency.promises import promise_all
from covey_privacy import wire
from covey_privacy.registry_messages import GRANTED, WITHDRAWN

_CHOICES = Base.metadata.tables[StandingChoice.__tablename__]
_UPDATE = update(_CHOICES).where(
    _CHOICES.c.subject == bindparam("person"), _CHOICES.c.purpose == bindparam("reason")
)
_INSERT = insert(_CHOICES).values(subject=bindparam("person"), purpose=bindparam("reason"))
_INSERT_EVENTS = insert(Base.metadata.tables[Event.__tablename__])
"""Core statements: ORM bulk statements cost a write of 32 events 2 ms more."""

YES = (GRANTED, states.RENEWED)

MAY_UNDO_OBJECTION = (SUBJECT, GUARDIAN)
"""The actors that can undo an objection: nobody at the shop can."""

Key = tuple[str, str]
"""A person and a purpose."""


class Person(NamedTuple):
    """What decides whether a person consents alone, and the wrapped key that seals their events."""

    country: str
    birth_year: int | None
    wrapped: bytes


class ChoiceRow(NamedTuple):
    """A standing choice, as its columns."""

    state: str
    notice_version: int
    at: int
    expires_at: int

    def follow(self, event: ConsentEvent | Event, counts_at: int) -> ChoiceRow:
        """Return the choice after the event. Raises ConflictError where the event cannot follow."""
        if max(event.at, counts_at) < self.at:
            return self
        state = states.follow(self.state, event.state)
        return ChoiceRow(state, event.version, counts_at, event.expires_at)


UNDECIDED = ChoiceRow(states.NONE, 0, 0, 0)


class EventStore:
    """Records the events of the registry of this name, and opens recorded ones."""

    def __init__(self, origin: str, vault: Vault, calendar: Calendar, transfers: Transfers) -> None:
        self.origin, self.vault, self.calendar, self.transfers = origin, vault, calendar, transfers

    def record_each(
        self, session: Session, groups: Sequence[Sequence[ConsentEvent]]
    ) -> list[list[CommittedRecord] | ConsentRegistryError]:
        """Record groups of events, all or none of each; return each group's new records or its error.

        The new records include those of grants that end with an event. Many groups cost the database hardly
        more than one.
        """
        work = UnitOfWork(self, session, [event for group in groups for event in group])
        outcomes: list[list[CommittedRecord] | ConsentRegistryError] = []
        for group in groups:
            try:
                outcomes.append(work.apply(group))
            except ConsentRegistryError as error:
                outcomes.append(error)
        work.flush()
        return outcomes

    def open(self, session: Session, event: Event) -> tuple[Record, CommitmentOpening]:
        """Return a recorded event's record and the opening of its commitment. Raises DamageError."""
        key = session.get_one(SubjectKey, event.subject)
        sealer = self.vault.open(event.subject, key.wrapped)
        opening = wire.decode(CommitmentOpening, sealer.unseal(event.sealed, event.event.encode()))
        record = Record(
            self.origin, event.event, event.subject, event.purpose, event.state, event.actor, event.method,
            event.notice, event.language, event.text_digest.hex(), event.at, event.expires_at,
            event.source,
        )  # fmt: skip
        return record, opening


class UnitOfWork:
    """The rows that some events are about: loaded at once, changed in memory, written back at once."""

    def __init__(self, store: EventStore, session: Session, events: Sequence[ConsentEvent]) -> None:
        self._origin, self._vault, self._transfers = store.origin, store.vault, store.transfers
        self._calendar, self._now = store.calendar, store.calendar.milliseconds
        self._session = session
        named = {event.subject for event in events}
        self._people, self._standing = _load_people(session, named), _load_choices(session, named)
        digests = {event.digest for event in events if event.digest}
        self._recorded = set(select_in(session, select(Event.digest), Event.digest, digests))
        self._changed: dict[Key, ChoiceRow] = {}
        self._rows: list[dict[str, Any]] = []

    def apply(self, events: Sequence[ConsentEvent]) -> list[CommittedRecord]:
        """Apply the events that were not recorded before, all or none; return the new records.

        Raises UnknownError for a stranger, DeniedError for a yes that is not the actor's to say or for data
        that may not go abroad, ConflictError for an event that cannot follow the standing choice.
        """
        after: dict[Key, ChoiceRow] = {}
        digests: set[bytes] = set()
        new: list[tuple[ConsentEvent, int]] = []
        for event in events:
            digest = event.digest
            if digest is not None:
                if digest in self._recorded or digest in digests:
                    continue
                digests.add(digest)
            self._require_allowed(event, after)
            new.append((event, self._follow(event, after)))
        for subject in [subject for subject, purpose in after if purpose == CONSENT]:
            new += [(event, self._follow(event, after)) for event in self._stranded(subject, after)]
        rows = [self._row(event, counts_at) for event, counts_at in new]
        self._changed |= after
        self._recorded |= digests
        self._rows += [row for _, row in rows]
        return [CommittedRecord(record, row["commitment"]) for record, row in rows]

    def flush(self) -> None:
        """Write the new events, the choices that stand after them, and the promises of their commitments."""
        known: list[dict[str, Any]] = []
        fresh: list[dict[str, Any]] = []
        for (subject, purpose), choice in self._changed.items():
            rows = known if (subject, purpose) in self._standing else fresh
            rows.append({"person": subject, "reason": purpose, **choice._asdict()})
        connection = self._session.connection()
        for statement, parameters in ((_UPDATE, known), (_INSERT, fresh), (_INSERT_EVENTS, self._rows)):
            if parameters:
                connection.execute(statement, parameters)
        promise_all(self._session, [row["commitment"] for row in self._rows], self._calendar, self._now)

    def _choice(self, subject: str, purpose: str, after: Mapping[Key, ChoiceRow]) -> ChoiceRow:
        key = subject, purpose
        return after.get(key) or self._changed.get(key) or self._standing.get(key) or UNDECIDED

    def _follow(self, event: ConsentEvent, after: dict[Key, ChoiceRow]) -> int:
        """Let the event change the choice in `after`; return when it counts, in Unix milliseconds."""
        before = self._choice(event.subject, event.purpose, after)
        counts_at = self._counts_at(event, before)
        after[event.subject, event.purpose] = before.follow(event, counts_at)
        return counts_at

    def _counts_at(self, event: ConsentEvent, before: ChoiceRow) -> int:
        now = self._calendar.milliseconds
        if not event.signed:
            # Said here and now: it follows whatever came before, also from a clock that runs ahead.
            return max(event.at, before.at)
        if event.state in YES:
            # A no that is said after a yes arrived is never the older one, whatever the yes's clock said.
            return min(event.at, now)
        # A no from a clock that runs ahead does not lock out the grants that follow it; one from a clock that
        # is slow, as far as clocks may differ, still ends what came before.
        at = min(event.at, self._calendar.latest)
        return max(at, before.at) if at + self._calendar.tolerance >= min(before.at, now) else at

    def _row(self, event: ConsentEvent, counts_at: int) -> tuple[Record, dict[str, Any]]:
        """Return the event's record and its row, sealed under the person's key."""
        record = Record(
            self._origin, uuid7(self._now), event.subject, event.purpose, event.state, event.actor,
            event.method, event.notice, event.language, event.text.hex(), event.at, event.expires_at,
            event.source,
        )  # fmt: skip
        salt = secrets.token_bytes(SALT_LENGTH)
        sealer = self._vault.open(event.subject, self._people[event.subject].wrapped)
        opening = wire.encode(CommitmentOpening(salt, event.signed))
        row = event._asdict() | {
            "event": record.event,
            "text_digest": event.text,
            "digest": event.digest,
            "counts_at": counts_at,
            "received_at": self._now,
            "commitment": commit(salt, record),
            "sealed": sealer.seal(opening, record.event.encode()),
        }
        del row["text"], row["signed"]
        return record, row

    def _require_allowed(self, event: ConsentEvent, after: Mapping[Key, ChoiceRow]) -> None:
        person = self._people.get(event.subject)
        if person is None:
            raise subjects.unknown_person()
        if event.state not in YES:
            return
        objected = self._choice(event.subject, event.purpose, after).state == states.OBJECTED
        if objected and event.actor not in MAY_UNDO_OBJECTION:
            raise DeniedError(
                f"the person objected to {event.purpose!r}, and only they themselves undo that: let them say "
                "yes with a token or a phone of their own"
            )
        abroad = self._transfers.destinations(person.country).get(event.purpose)
        if abroad and not self._may_leave(event.subject, after):
            raise DeniedError(
                f"under {event.purpose!r} data of people in {person.country} go to {', '.join(abroad)}: that "
                f"takes a yes to {CONSENT!r} before, in a dialogue of its own (PIPL Art. 39)"
            )
        alone = event.actor != GUARDIAN and purposes.find(event.purpose).needs_consent
        if alone and ages.is_child(person.birth_year, person.country, self._calendar.year):
            raise DeniedError(
                f"below {ages.age_of_consent(person.country)} years a guardian consents for a child; link "
                "the guardian, and let them say yes"
            )

    def _may_leave(self, subject: str, after: Mapping[Key, ChoiceRow]) -> bool:
        choice = self._choice(subject, CONSENT, after)
        return self._transfers.agreed(choice.state, choice.notice_version)

    def _stranded(self, subject: str, after: Mapping[Key, ChoiceRow]) -> list[ConsentEvent]:
        """Return withdrawals of the grants that took the person's data abroad, where they no longer may."""
        abroad = self._transfers.destinations(self._people[subject].country)
        if not abroad or self._may_leave(subject, after):
            return []
        standing = [(purpose, self._choice(subject, purpose, after)) for purpose in abroad]
        return [
            ConsentEvent(subject, purpose, WITHDRAWN, SYSTEM, ENDS, self._now, version=choice.notice_version)
            for purpose, choice in standing
            if choice.state == GRANTED
        ]


def _load_people(session: Session, named: Iterable[str]) -> Mapping[str, Person]:
    keys = key_table(session, named)
    query = (
        select(Subject.subject, Subject.country, Subject.birth_year, SubjectKey.wrapped)
        .join(SubjectKey, SubjectKey.subject == Subject.subject)
        .join(keys, keys.c.value == Subject.subject)
    )
    return {row.subject: Person(row.country, row.birth_year, row.wrapped) for row in session.execute(query)}


def _load_choices(session: Session, named: Iterable[str]) -> Mapping[Key, ChoiceRow]:
    keys = key_table(session, named)
    columns = [getattr(StandingChoice, name) for name in ("subject", "purpose", *ChoiceRow._fields)]
    query = select(*columns).join(keys, keys.c.value == StandingChoice.subject)
    rows = rows_as_json(session, query)
    return {(subject, purpose): ChoiceRow(*rest) for subject, purpose, *rest in rows}
