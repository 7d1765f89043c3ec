"""Erasure (GDPR Art. 17, PIPL Art. 47): in one write, everything of a person is gone, or nothing is.

What stays is a certificate, a JWS under the registry's key that names nobody. Afterwards the database's files
are rebuilt, so that nothing stays in them.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import orjson
import rfc8785
from joserfc import jws
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from covey_consent.access.roles import Caller, Role
from covey_consent.decisions import subjects
from covey_consent.decisions.standing_choices import StandingChoices
from covey_consent.operations.supervision import Done, nothing
from covey_consent.policy.epoch_calendar import Calendar
from covey_consent.recipients.outbox import NotificationKind, Outbox
from covey_consent.rights import personal_data_rows
from covey_consent.rights.personal_data_rows import ErasedRows
from covey_consent.rights.signed_documents import fill_labels, sign_document
from covey_consent.rights.states import RequestAction
from covey_consent.rights.tables import ErasureStep, RightsRequest, RightsStep, Tombstone
from covey_consent.settings import Settings
from covey_consent.storage.models import HOUR
from covey_consent.storage.store import Store
from covey_privacy.signatures import SigningKey

CERTIFICATE_TYPE = "covey-erasure+jws"

LOOK_SECONDS = 1.0
"""Seconds between two looks for erasures after which the database's files were not rebuilt."""

VACUUM_SECONDS = 3600.0
"""Seconds between two rebuilds, at least."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """Erases people, and certifies it under the registry's key."""

    key: SigningKey
    settings: Settings
    calendar: Calendar
    outbox: Outbox
    choices: StandingChoices

    def fulfil(self, session: Session, request: RightsRequest, caller: Caller, answer: str) -> None:
        """Erase the person with the request; keep its certificate, and its steps without the person."""
        id_, subject = request.id, request.subject
        subjects.find(session, subject)
        recipients = self.outbox.notify(session, subject, NotificationKind.ERASED)
        session.add_all(_steps(session, request, caller, answer, self.calendar.now))
        # No object of theirs may be written back once the rows are gone.
        session.flush()
        session.expunge_all()
        erased = personal_data_rows.erase(session, [subject], id_)
        certificate = self.certify(id_, erased, recipients)
        hour = self.calendar.now // HOUR
        session.add(Tombstone(id=id_, hour=hour, certificate=certificate, purged=False))
        session.flush()
        self.choices.forget(session, {subject})

    def certify(self, request: str, erased: ErasedRows, recipients: int) -> str:
        """Return the certificate for the request of this id, which is all that leads to the person."""
        hour = self.calendar.now // HOUR * HOUR
        caps, backup_days = self.settings.caps, self.settings.backup_days
        labels = fill_labels(
            "certificate", rows=sum(erased.deleted.values()), blanked=sum(erased.blanked.values()),
            hour=datetime.fromtimestamp(hour, UTC).isoformat(),
            days=backup_days, recipients=recipients, epsilon=f"{caps.total:g}",
            delta=f"{caps.delta:g}",
        )  # fmt: skip
        claims: dict[str, Any] = {
            "iss": self.settings.origin, "jti": request, "iat": hour, "rows": dict(erased.deleted),
            "blanked": dict(erased.blanked), "key_destroyed": erased.deleted.get("subject_keys", 0) > 0,
            "recipients_written_to": recipients,
            "backups_until": hour + HOUR + backup_days * 86400, "epsilon": caps.total,
            "delta": caps.delta, "words": labels,
        }  # fmt: skip
        return sign_document(self.key, CERTIFICATE_TYPE, rfc8785.dumps(claims))


def claims_of(certificate: str) -> dict[str, Any]:
    """Return the claims of a certificate of the registry's own; others check its signature first."""
    return cast(dict[str, Any], orjson.loads(jws.extract_compact(certificate.encode()).payload))


async def vacuum_after_erasures(store: Store, done: Done = nothing) -> None:
    """Rebuild the database's files after erasures, until cancelled: see `vacuum_if_erased`."""
    while True:
        rebuilt = await vacuum_if_erased(store)
        done()
        await asyncio.sleep(VACUUM_SECONDS if rebuilt else LOOK_SECONDS)


async def vacuum_if_erased(store: Store) -> bool:
    """Rebuild the files where people were erased since the last time; say whether."""
    erased = await store.read(_not_purged)
    if erased:
        await store.purge()
        await store.write(_mark_purged, erased)
    return bool(erased)


def _not_purged(session: Session) -> list[str]:
    return list(session.scalars(select(Tombstone.id).where(Tombstone.purged.is_(False))))


def _mark_purged(session: Session, erased: list[str]) -> None:
    for id_ in erased:
        session.execute(update(Tombstone).where(Tombstone.id == id_).values(purged=True))


def _steps(
    session: Session, request: RightsRequest, caller: Caller, answer: str, now: int
) -> list[ErasureStep]:
    """Return the steps of the request to be kept; of the person's own steps without name and reason."""
    query = select(RightsStep).filter_by(request=request.id).order_by(RightsStep.number)
    taken = [("enter", request.entered_role, request.entered_by, "", "", request.received_at)]
    taken += [
        (one.step, one.role, one.name, one.method, one.reason, one.at) for one in session.scalars(query)
    ]
    taken.append((RequestAction.FULFIL, caller.role, caller.name, "", answer, now))
    return [
        ErasureStep(
            erasure=request.id, number=number, step=step, role=role, at=at,
            name="" if role == Role.SUBJECT else name,
            method=method, reason="" if role == Role.SUBJECT else reason,
        )
        for number, (step, role, name, method, reason, at) in enumerate(taken)
    ]  # fmt: skip
