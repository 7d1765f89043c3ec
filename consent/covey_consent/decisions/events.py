"""Events: what people said, appended; and the choice that stands, which follows from them.

The event with the later time stands, whichever arrives first; where clocks cannot tell, the no. Each is
committed to in the log.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

from sqlalchemy.orm import Session

from covey_consent.decisions.consent_event import Act
from covey_consent.decisions.records import SALT_LENGTH, Record, commit
from covey_consent.decisions.subjects import Subjects
from covey_consent.decisions.unit_of_work import Sheet, Taken
from covey_consent.errors import ConsentRegistryError
from covey_consent.policy.transfers import Transfers
from covey_consent.storage.models import Event
from covey_consent.storage.uuid7 import uuid7
from covey_consent.storage.vault import Sealer
from covey_consent.tickets.epoch_calendar import Calendar
from covey_consent.transparency.promises import promise_all
from covey_privacy import wire


class Recorded(NamedTuple):
    """A new record and what stands for it in the log."""

    record: Record
    commitment: bytes


@dataclass(frozen=True, slots=True)
class Opening:
    """What opens an event's commitment, and the device's own words."""

    salt: Annotated[bytes, wire.Size(SALT_LENGTH)]
    signed: Annotated[bytes, wire.Size(0, 2**12)]


class Events:
    """Records events for the registry of this name."""

    def __init__(self, origin: str, subjects: Subjects, calendar: Calendar, transfers: Transfers) -> None:
        self._origin, self._subjects, self._calendar = origin, subjects, calendar
        self.transfers = transfers

    def record(self, session: Session, acts: Sequence[Act]) -> list[Recorded]:
        """Append what was not recorded before and let the latest stand; return the new records, and those of
        what ends with them.

        Raises ConsentRegistryError where an act cannot follow what stands: then nothing is recorded.
        """
        (outcome,) = self.record_each(session, [acts])
        if isinstance(outcome, ConsentRegistryError):
            raise outcome
        return outcome

    def record_each(
        self, session: Session, groups: Sequence[Sequence[Act]]
    ) -> list[list[Recorded] | ConsentRegistryError]:
        """Record groups of acts, all or none of each; many cost the database hardly more than one."""
        now = self._calendar.milliseconds
        acts = [act for group in groups for act in group]
        sheet = Sheet.read(session, acts, self._calendar, self.transfers)
        outcomes = [self._enter(sheet, group, now) for group in groups]
        sheet.write(session)
        promise_all(session, [row["commitment"] for row in sheet.events], self._calendar, now)
        return outcomes

    def open(self, session: Session, event: Event) -> tuple[Record, Opening]:
        """Return a recorded event's record, and what opens its commitment. Raises DamageError."""
        sealer = self._subjects.sealers(session, [event.subject])[event.subject]
        opening = wire.decode(Opening, sealer.unseal(event.sealed, event.event.encode()))
        record = Record(
            self._origin, event.event, event.subject, event.purpose, event.state, event.actor, event.method,
            event.notice, event.language, event.text_digest.hex(), event.at, event.expires_at,
            event.source,
        )  # fmt: skip
        return record, opening

    def _enter(self, sheet: Sheet, group: Sequence[Act], now: int) -> list[Recorded] | ConsentRegistryError:
        try:
            fresh = sheet.stand(group)
        except ConsentRegistryError as error:
            return error
        return [self._append(sheet, taken, now) for taken in fresh]

    def _append(self, sheet: Sheet, taken: Taken, now: int) -> Recorded:
        act = taken.act
        record = Record(
            self._origin, uuid7(now), act.subject, act.purpose, act.state, act.actor, act.method,
            act.notice, act.language, act.text.hex(), act.at, act.expires_at, act.source,
        )  # fmt: skip
        sealer = self._subjects.sealer(act.subject, sheet.people[act.subject].wrapped)
        salt = secrets.token_bytes(SALT_LENGTH)
        row = _row(act, record, salt, sealer)
        row |= {"digest": taken.digest, "counts_at": taken.counts_at, "received_at": now}
        sheet.events.append(row)
        return Recorded(record, row["commitment"])


def _row(act: Act, record: Record, salt: bytes, sealer: Sealer) -> dict[str, Any]:
    return {
        "event": record.event, "subject": act.subject, "purpose": act.purpose, "state": act.state,
        "actor": act.actor, "method": act.method, "notice": act.notice, "version": act.version,
        "language": act.language, "text_digest": act.text,
        "at": act.at, "expires_at": act.expires_at, "source": act.source,
        "commitment": commit(salt, record),
        "sealed": sealer.seal(wire.encode(Opening(salt, act.signed)), record.event.encode()),
    }  # fmt: skip
