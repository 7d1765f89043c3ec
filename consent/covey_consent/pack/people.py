"""A person's records, opened for the pack that they ask for."""

from __future__ import annotations

import time
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from covey_consent.decisions import subjects
from covey_consent.decisions.unit_of_work import EventStore
from covey_consent.pack.contents import Held
from covey_consent.policy import controller
from covey_consent.policy.transfers import Transfers
from covey_consent.settings import Settings
from covey_consent.storage.models import Event
from covey_consent.storage.vault import Vault
from covey_consent.tickets.epoch_calendar import Calendar
from covey_consent.transparency import promises
from covey_privacy.signatures import SigningKey


def records(session: Session, settings: Settings, key: SigningKey, subject: str) -> Sequence[Held]:
    """Return every record of the person, with the promise of those not logged yet. Raises UnknownError."""
    subjects.find(session, subject)
    calendar = Calendar(time.time, settings.epoch_seconds, settings.tolerance_seconds)
    transfers = Transfers(controller.load(settings.controller), {})
    events = EventStore(settings.origin, Vault(key), calendar, transfers)
    rows = session.scalars(select(Event).filter_by(subject=subject).order_by(Event.id))
    return [_held(session, events, row, settings.origin, key, calendar) for row in rows]


def _held(
    session: Session, events: EventStore, row: Event, origin: str, key: SigningKey, calendar: Calendar
) -> Held:
    record, opening = events.open(session, row)
    promised_at = promises.promised_at(session, row.commitment)
    if promised_at is None:
        return Held(record, opening.salt)
    promise = promises.promise(key, origin, row.commitment, calendar, promised_at)
    return Held(record, opening.salt, promise)
