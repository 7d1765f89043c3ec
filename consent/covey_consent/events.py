"""Events: what people said, appended; and the choice that stands, which follows from them.

The event with the later time stands, whichever arrives first. Each is committed to in the log.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from sqlalchemy.orm import Session

from covey_consent.acts import Act
from covey_consent.epochs import Calendar
from covey_consent.errors import ConsentRegistryError
from covey_consent.models import Event
from covey_consent.records import SALT_LENGTH, Record, commit
from covey_consent.sheet import Sheet
from covey_consent.subjects import Subjects
from covey_consent.vault import Sealer
from covey_privacy import wire


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

        Raises ConsentRegistryError where an act cannot follow what stands: then nothing is recorded.
        """
        (outcome,) = self.record_each(session, [acts])
        if isinstance(outcome, ConsentRegistryError):
            raise outcome
        return outcome

    def record_each(
        self, session: Session, groups: Sequence[Sequence[Act]]
    ) -> list[list[Record] | ConsentRegistryError]:
        """Record groups of acts, all or none of each; many cost the database hardly more than one."""
        sheet = Sheet.read(session, [act for group in groups for act in group], self._calendar)
        outcomes = [self._enter(sheet, group) for group in groups]
        sheet.write(session)
        return outcomes

    def open(self, session: Session, event: Event) -> tuple[Record, Opening]:
        """Return a recorded event's record, and what opens its commitment. Raises DamageError."""
        sealer = self._subjects.sealers(session, [event.subject])[event.subject]
        opening = wire.decode(Opening, sealer.unseal(event.sealed, event.event.encode()))
        record = Record(
            self._origin, event.event, event.subject, event.purpose, event.state, event.actor, event.method,
            event.notice, event.language, event.text_digest.hex(), event.at, event.expires_at,
        )  # fmt: skip
        return record, opening

    def _enter(self, sheet: Sheet, group: Sequence[Act]) -> list[Record] | ConsentRegistryError:
        try:
            fresh = sheet.stand(group)
        except ConsentRegistryError as error:
            return error
        return [self._append(sheet, digest, act) for digest, act in fresh.items()]

    def _append(self, sheet: Sheet, digest: bytes, act: Act) -> Record:
        record = Record(
            self._origin, str(uuid.uuid4()), act.subject, act.purpose, act.state, act.actor, act.method,
            act.notice, act.language, act.text.hex(), act.at, act.expires_at,
        )  # fmt: skip
        sealer = self._subjects.sealer(act.subject, sheet.people[act.subject].wrapped)
        sheet.events.append(self._row(digest, act, record, sealer))
        return record

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
