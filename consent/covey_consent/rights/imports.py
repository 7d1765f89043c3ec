"""Imports (GDPR Art. 20): a person's choices from another registry's export decide here as they did there."""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from dataclasses import dataclass
from typing import Annotated, Literal

import orjson
from joserfc import jws
from joserfc.errors import JoseError
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError
from sqlalchemy.orm import Session

from covey_consent.access.tokens import ALGORITHM, public_key_jwk
from covey_consent.decisions.choices import Choices
from covey_consent.decisions.consent_event import Act
from covey_consent.decisions.subjects import Subjects
from covey_consent.errors import ConflictError, DeniedError, RequestError
from covey_consent.rights.export import FORMAT, MANIFEST, SIGNATURE
from covey_consent.storage.models import Subject

LIMIT = 16 * 2**20
"""Bytes of an export at most, and of each file in it."""

TOTAL, FILES = 4 * LIMIT, 200
"""Bytes of all its files together at most, and how many those are."""

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

Guardian = Literal["none", "linked", "lost"]
"""The state of the link to a child's guardian after the import: `lost` where they are not known here."""

_BROKEN = (zipfile.BadZipFile, zlib.error, KeyError, NotImplementedError, RuntimeError, EOFError, ValueError)
"""The errors of reading a file that is no export, or a damaged one."""

Hex = Annotated[str, StringConstraints(pattern="^(?:[0-9a-f]{2})*$", max_length=2**13)]
Short = Annotated[str, StringConstraints(max_length=200)]
Milliseconds = Annotated[int, Field(ge=0, lt=2**53)]
Pseudonym = Annotated[str, StringConstraints(pattern="^[0-9a-f]{32}$")]


class _Row(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Record(_Row):
    purpose: Short
    state: Short
    actor: Short
    method: Short
    notice: Short
    language: Short
    text: Hex
    at: Milliseconds
    expires: Milliseconds


class _Consent(_Row):
    record: _Record
    signed: Hex


class _Person(_Row):
    subject: Pseudonym
    country: Annotated[str, StringConstraints(pattern="^([A-Z]{2})?$")]
    birth_year: Annotated[int, Field(ge=1900, le=2200)] | None
    guardian: Pseudonym | None


class _Device(_Row):
    key: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]


_CONSENTS = TypeAdapter(Annotated[list[_Consent], Field(max_length=10_000)])
_PEOPLE = TypeAdapter(Annotated[list[_Person], Field(min_length=1, max_length=1)])
_DEVICES = TypeAdapter(Annotated[list[_Device], Field(max_length=1000)])


@dataclass(frozen=True, slots=True)
class Export:
    """The imported parts of an export: the person, their devices' keys, their events, oldest first."""

    person: _Person
    devices: tuple[bytes, ...]
    consents: tuple[_Consent, ...]


def read_export(data: bytes, key: bytes) -> Export:
    """Return the content of an export. Raises RequestError, and DeniedError unless this key signed it."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = _read_files(archive, key)
        return Export(
            _PEOPLE.validate_json(files["tables/subjects.json"])[0],
            tuple(bytes.fromhex(one.key) for one in _DEVICES.validate_json(files["tables/devices.json"])),
            tuple(_CONSENTS.validate_json(files["consents.json"])),
        )
    except _BROKEN as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise RequestError(f"this is no {FORMAT} export: {reason[:200]}") from None


def import_person(
    session: Session, subjects: Subjects, choices: Choices, export: Export, source: bytes
) -> Guardian:
    """Create the person of the export here and record their events; return the state of the guardian link.

    Each event is marked as imported from the registry whose public key is `source`. Raises ConflictError
    where the person, or a device of theirs, is known here already.
    """
    person = export.person
    if session.get(Subject, person.subject) is not None:
        raise ConflictError("this person is known here; an export is imported where they are not")
    known = person.guardian is not None and session.get(Subject, person.guardian) is not None
    guardian = person.guardian if known else None
    subjects.adopt(session, person.subject, person.country, person.birth_year, guardian)
    for key in export.devices:
        subjects.attach(session, person.subject, key)
    choices.record(session, [_act(person.subject, consent, source.hex()) for consent in export.consents])
    return "none" if person.guardian is None else "linked" if known else "lost"


def _read_files(archive: zipfile.ZipFile, key: bytes) -> dict[str, bytes]:
    """Return the files of an export, each checked against the signed manifest."""
    listed = archive.infolist()
    if len(listed) > FILES or sum(file.file_size for file in listed) > TOTAL:
        raise RequestError(f"an export has at most {FILES} files, of {TOTAL} bytes together")
    if any(file.compress_type not in METHODS for file in listed):
        raise RequestError("an export's files are stored or deflated; this one has others")
    manifest, signature = _read_file(archive, MANIFEST), _read_file(archive, SIGNATURE)
    try:
        signed = jws.deserialize_compact(signature, public_key_jwk(key), [ALGORITHM]).payload
    except (JoseError, ValueError):
        raise DeniedError(
            "the export is not signed by the registry that is named; nothing in it is used"
        ) from None
    content = orjson.loads(signed)
    if signed != manifest or content["format"] != FORMAT:
        raise DeniedError("the export's manifest is not the one that was signed; nothing in it is used")
    files: dict[str, bytes] = {}
    for name, digest in dict(content["files"]).items():
        files[name] = _read_file(archive, name)
        if hashlib.sha256(files[name]).hexdigest() != digest:
            raise DeniedError(f"{name} is not the file that was signed; nothing in the export is used")
    return files


def _read_file(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as file:
        data = file.read(LIMIT + 1)
    if len(data) > LIMIT:
        raise RequestError(f"{name} is longer than {LIMIT} bytes")
    return data


def _act(subject: str, consent: _Consent, source: str) -> Act:
    record = consent.record
    major = record.notice.partition(".")[0]
    return Act(
        subject, record.purpose, record.state, record.actor, record.method, record.at, notice=record.notice,
        version=int(major) if major.isdecimal() else 0, language=record.language,
        text=bytes.fromhex(record.text), expires_at=record.expires, signed=bytes.fromhex(consent.signed),
        source=source,
    )  # fmt: skip
