"""The export (GDPR Art. 15 and 20, PIPL Art. 45): all that is held of a person, as a zip."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import orjson
from sqlalchemy import Table, select
from sqlalchemy.orm import Session

from covey_consent.decisions import subjects
from covey_consent.decisions.unit_of_work import EventStore
from covey_consent.policy import purposes
from covey_consent.policy.controller import Controller
from covey_consent.policy.epoch_calendar import Calendar
from covey_consent.recipients import register
from covey_consent.recipients.webhook import WebhookSigner
from covey_consent.rights import personal_data_rows
from covey_consent.rights.signed_documents import fill_labels, sign_document
from covey_consent.storage.csv_tables import table as csv_table
from covey_consent.storage.models import Event, SubjectKey
from covey_privacy.signatures import SigningKey

FORMAT = "covey-export/1"
MANIFEST, SIGNATURE = "manifest.json", "manifest.jws"
TYPE = "covey-export+jws"

_SEALED = {SubjectKey.__tablename__: ("wrapped",), Event.__tablename__: ("sealed",)}
"""Columns that only the registry's key opens: the person gets their content in consents.json."""


@dataclass(frozen=True, slots=True)
class Exporter:
    """Makes exports."""

    key: SigningKey
    origin: str
    calendar: Calendar
    controller: Controller
    events: EventStore
    signer: WebhookSigner

    def export(self, session: Session, subject: str) -> bytes:
        """Return the person's export. Raises UnknownError."""
        subjects.find(session, subject)
        files = {
            "about.json": _json(self._about(session, subject)),
            "consents.json": _json(self._consents(session, subject)),
        }
        for table in personal_data_rows.tables():
            rows = [_plain(table, row) for row in personal_data_rows.rows(session, table, subject)]
            files[f"tables/{table.name}.json"] = _json(rows)
            files[f"tables/{table.name}.csv"] = csv_table(table.columns.keys(), rows).encode("utf-8-sig")
        files |= self._manifest(subject, files)
        archived = io.BytesIO()
        with zipfile.ZipFile(archived, "w") as archive:
            for name, content in files.items():
                archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
        return archived.getvalue()

    def _manifest(self, subject: str, files: Mapping[str, bytes]) -> dict[str, bytes]:
        digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
        head = {"format": FORMAT, "registry": self.origin, "subject": subject, "made_at": self.calendar.now}
        manifest = _json(head | {"files": digests})
        return {MANIFEST: manifest, SIGNATURE: sign_document(self.key, TYPE, manifest).encode()}

    def _about(self, session: Session, subject: str) -> dict[str, Any]:
        """Return the information of GDPR Art. 15(1) that goes with the data."""
        return {
            "words": fill_labels("export"),
            "controller": self.controller.model_dump(exclude={"recipients"}, mode="json"),
            "purposes": [asdict(one) for one in purposes.load().values() if one.basis != purposes.REFUSED],
            "recipients": self.controller.model_dump(include={"recipients"}, mode="json")["recipients"],
            "told": register.disclosures_of(session, self.signer, subject),
        }

    def _consents(self, session: Session, subject: str) -> list[dict[str, Any]]:
        """Return the person's events with what opens their commitments in the log."""
        consents = []
        for event in session.scalars(select(Event).filter_by(subject=subject).order_by(Event.id)):
            record, opening = self.events.open(session, event)
            secrets = {"salt": opening.salt.hex(), "signed": opening.signed.hex()}
            consents.append({"record": asdict(record), **secrets, "commitment": event.commitment.hex()})
        return consents


def _plain(table: Table, row: Mapping[str, Any]) -> dict[str, Any]:
    sealed = _SEALED.get(table.name, ())
    return {
        name: "sealed" if name in sealed else value.hex() if isinstance(value, bytes) else value
        for name, value in row.items()
    }


def _json(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2)
