"""The export (GDPR Art. 15 and 20, PIPL Art. 45): all that is held of a person, as a zip."""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import orjson
from joserfc import jws
from sqlalchemy import select
from sqlalchemy.orm import Session

from covey_consent.access.tokens import ALGORITHM, jwk
from covey_consent.decisions import subjects
from covey_consent.decisions.unit_of_work import EventStore
from covey_consent.policy import purposes
from covey_consent.policy.controller import Controller
from covey_consent.recipients import register
from covey_consent.recipients.webhook import Signer
from covey_consent.rights import labels, personal_data_rows
from covey_consent.storage.models import Event, SubjectKey
from covey_consent.tickets.epoch_calendar import Calendar
from covey_privacy.signatures import SigningKey

FORMAT = "covey-export/1"
MANIFEST, SIGNATURE = "manifest.json", "manifest.jws"
TYPE = "covey-export+jws"

_SEALED = {SubjectKey.__tablename__: ("wrapped",), Event.__tablename__: ("sealed",)}
"""What only the registry's key opens: the person gets it opened, in consents.json."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Exporter:
    """Makes exports."""

    key: SigningKey
    origin: str
    calendar: Calendar
    controller: Controller
    events: EventStore
    signer: Signer

    def export(self, session: Session, subject: str) -> bytes:
        """Return the person's export. Raises UnknownError."""
        subjects.find(session, subject)
        files = {
            "about.json": _json(self._about(session, subject)),
            "consents.json": _json(self._consents(session, subject)),
        }
        for table in personal_data_rows.tables():
            rows = [_row(table.name, row) for row in personal_data_rows.rows(session, table, subject)]
            files[f"tables/{table.name}.json"] = _json(rows)
            files[f"tables/{table.name}.csv"] = _csv([*table.columns.keys()], rows)
        return _zip(files | self._manifest(subject, files))

    def _manifest(self, subject: str, files: Mapping[str, bytes]) -> dict[str, bytes]:
        digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
        said = {"format": FORMAT, "registry": self.origin, "subject": subject, "made_at": self.calendar.now}
        manifest = _json(said | {"files": digests})
        header = {"alg": ALGORITHM, "typ": TYPE, "kid": self.key.public.hex()}
        signed = jws.serialize_compact(header, manifest, jwk(self.key), [ALGORITHM])
        return {MANIFEST: manifest, SIGNATURE: signed.encode()}

    def _about(self, session: Session, subject: str) -> dict[str, Any]:
        """Return what GDPR Art. 15(1) asks for beside the data."""
        return {
            "words": labels.say("export"),
            "controller": self.controller.model_dump(exclude={"recipients"}, mode="json"),
            "purposes": [asdict(one) for one in purposes.load().values() if one.basis != purposes.REFUSED],
            "recipients": self.controller.model_dump(include={"recipients"}, mode="json")["recipients"],
            "told": register.told(session, self.signer, subject),
        }

    def _consents(self, session: Session, subject: str) -> list[dict[str, Any]]:
        query = select(Event).filter_by(subject=subject).order_by(Event.id)
        return [self._consent(session, event) for event in session.scalars(query)]

    def _consent(self, session: Session, event: Event) -> dict[str, Any]:
        record, opening = self.events.open(session, event)
        secrets = {"salt": opening.salt.hex(), "signed": opening.signed.hex()}
        return {"record": asdict(record), **secrets, "commitment": event.commitment.hex()}


def _row(table: str, row: Mapping[str, Any]) -> dict[str, Any]:
    left_out = _SEALED.get(table, ())
    return {
        name: "sealed" if name in left_out else value.hex() if isinstance(value, bytes) else value
        for name, value in row.items()
    }


def _json(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2)


def _csv(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue().encode("utf-8-sig")


def _cell(value: Any) -> Any:
    # A spreadsheet would take these for formulas.
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _zip(files: Mapping[str, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return data.getvalue()
