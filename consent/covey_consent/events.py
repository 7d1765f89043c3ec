"""Events: what people said, appended; and the choice that stands, which follows from them.

The event with the later time stands, whichever arrives first. Each is committed to in the log.
"""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from covey_consent import states
from covey_consent.epochs import Calendar
from covey_consent.models import Event, StandingChoice
from covey_consent.records import SALT_LENGTH, Record, commit
from covey_consent.store import all_in
from covey_consent.subjects import Subjects
from covey_consent.vault import Sealer
from covey_privacy import wire

EVERYTHING = "*"
"""The purpose of an event that restricts all processing."""

SUBJECT = "subject"
GUARDIAN = "guardian"
OFFICER = "officer"
SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Act:
    """An event before it is recorded; `signed` is what a device signed, if one did.

    `version` is the notice's major; `at` and `expires_at` are Unix milliseconds.
    """

    subject: str
    purpose: str
    state: str
    actor: str
    method: str
    at: int
    notice: str = ""
    version: int = 0
    language: str = ""
    text: bytes = b""
    expires_at: int = 0
    signed: bytes = b""


@dataclass(frozen=True, slots=True)
class Opening:
    """What opens an event's commitment, and the device's own words."""

    salt: Annotated[bytes, wire.Size(SALT_LENGTH)]
    signed: Annotated[bytes, wire.Size(0, 2**12)]


class Events:
    """Records events for the registry of this name."""

    def __init__(self, origin: str, subjects: Subjects, calendar: Calendar) -> None:
        self._origin, self._subjects, self._calendar = origin, subjects, calendar

    def record(self, session: Session, acts: Sequence[Act]) -> list[Record]:
        """Append what was not recorded before and let the latest stand; return the new records.

        Raises ConflictError where an act cannot follow what stands: then nothing may be committed.
        """
        fresh = self._fresh(session, acts)
        if not fresh:
            return []
        subjects = {act.subject for act in fresh.values()}
        self._stand(session, _standing(session, subjects), fresh.values())
        records = [self._record(act) for act in fresh.values()]
        sealers = self._subjects.sealers(session, subjects)
        rows = [
            self._row(digest, act, record, sealers[act.subject])
            for (digest, act), record in zip(fresh.items(), records, strict=True)
        ]
        session.execute(insert(Event), rows)
        return records

    def open(self, session: Session, event: Event) -> tuple[Record, Opening]:
        """Return a recorded event's record, and what opens its commitment. Raises DamageError."""
        sealer = self._subjects.sealers(session, [event.subject])[event.subject]
        opening = wire.decode(Opening, sealer.unseal(event.sealed, event.event.encode()))
        return self._record_of(event), opening

    def _fresh(self, session: Session, acts: Sequence[Act]) -> dict[bytes, Act]:
        """Return by digest the acts that are not recorded yet, each once."""
        fresh = {_digest(act): act for act in acts}
        for digest in all_in(session, select(Event.digest), Event.digest, [*fresh]):
            del fresh[digest]
        return fresh

    def _stand(
        self, session: Session, standing: dict[tuple[str, str], StandingChoice], acts: Iterable[Act]
    ) -> None:
        for act in acts:
            # A no from a clock that runs ahead counts, and does not lock out the grants that follow it.
            at = min(act.at, self._calendar.latest)
            choice = standing.get((act.subject, act.purpose))
            if choice is None:
                choice = StandingChoice(subject=act.subject, purpose=act.purpose, state=states.NONE, at=0)
                standing[act.subject, act.purpose] = choice
                session.add(choice)
            if at >= choice.at:
                choice.state, choice.at = states.follow(choice.state, act.state), at
                choice.notice_version, choice.expires_at = act.version, act.expires_at

    def _record(self, act: Act) -> Record:
        return Record(
            self._origin, str(uuid.uuid4()), act.subject, act.purpose, act.state, act.actor, act.method,
            act.notice, act.language, act.text.hex(), act.at, act.expires_at,
        )  # fmt: skip

    def _record_of(self, event: Event) -> Record:
        return Record(
            self._origin, event.event, event.subject, event.purpose, event.state, event.actor, event.method,
            event.notice, event.language, event.text_digest.hex(), event.at, event.expires_at,
        )  # fmt: skip

    def _row(self, digest: bytes, act: Act, record: Record, sealer: Sealer) -> dict[str, Any]:
        salt = secrets.token_bytes(SALT_LENGTH)
        return {
            "event": record.event, "subject": act.subject, "purpose": act.purpose, "state": act.state,
            "actor": act.actor, "method": act.method, "notice": act.notice, "version": act.version,
            "language": act.language, "text_digest": act.text, "digest": digest,
            "at": act.at, "expires_at": act.expires_at,
            "received_at": self._calendar.milliseconds, "commitment": commit(salt, record),
            "sealed": sealer.seal(wire.encode(Opening(salt, act.signed)), record.event.encode()),
        }  # fmt: skip


def _digest(act: Act) -> bytes:
    """Return what tells one act from another; what nobody signed is never the same act twice."""
    return hashlib.sha256(act.signed or secrets.token_bytes(32)).digest()


def _standing(session: Session, subjects: Iterable[str]) -> dict[tuple[str, str], StandingChoice]:
    rows = all_in(session, select(StandingChoice), StandingChoice.subject, subjects)
    return {(choice.subject, choice.purpose): choice for choice in rows}
