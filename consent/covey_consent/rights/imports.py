"""Imports (GDPR Art. 20): a person's choices from another registry's export decide here as they did there."""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import orjson
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from joserfc.util import urlsafe_b64encode
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError
from sqlalchemy.orm import Session

from covey_consent.access.tokens import ALGORITHM
from covey_consent.decisions.consent_event import ConsentEvent
from covey_consent.decisions.standing_choices import StandingChoices
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
"""What became of the link to a child's guardian: `lost` where they are not known here."""

_BROKEN = (zipfile.BadZipFile, zlib.error, KeyError, NotImplementedError, RuntimeError, EOFError, ValueError)
"""What a file raises that is no export, or a damaged one."""

Hex = Annotated[str, StringConstraints(pattern="^(?:[0-9a-f]{2})*$", max_length=2**13)]
Short = Annotated[str, StringConstraints(max_length=200)]
Milliseconds = Annotated[int, Field(ge=0, lt=2**53)]


class _Given(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Record(_Given):
    purpose: Short
    state: Short
    actor: Short
    method: Short
    notice: Short
    language: Short
    text: Hex
    at: Milliseconds
    expires: Milliseconds


class _Consent(_Given):
    record: _Record
    signed: Hex


class _Person(_Given):
    subject: Annotated[str, StringConstraints(pattern="^[0-9a-f]{32}$")]
    country: Annotated[str, StringConstraints(pattern="^([A-Z]{2})?$")]
    birth_year: Annotated[int, Field(ge=1900, le=2200)] | None
    guardian: Annotated[str, StringConstraints(pattern="^[0-9a-f]{32}$")] | None


class _Device(_Given):
    key: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]


_CONSENTS = TypeAdapter(Annotated[list[_Consent], Field(max_length=10_000)])
_PEOPLE = TypeAdapter(Annotated[list[_Person], Field(min_length=1, max_length=1)])
_DEVICES = TypeAdapter(Annotated[list[_Device], Field(max_length=1000)])


@dataclass(frozen=True, slots=True)
class Export:
    """What is taken from an export: the person, their devices' keys, and what they said, oldest first."""

    person: _Person
    devices: tuple[bytes, ...]
    consents: tuple[_Consent, ...]


def read(data: bytes, key: bytes) -> Export:
    """Return what an export says. Raises RequestError, and DeniedError unless this public key signed it."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _require_bounded(archive)
            return _read(archive, key)
    except _BROKEN as error:
        said = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise RequestError(f"this is no {FORMAT} export: {said[:200]}") from None


def import_(
    session: Session, subjects: Subjects, choices: StandingChoices, export: Export, source: bytes
) -> Guardian:
    """Make the person of the export known here and record what they said; return what became of a guardian.

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


def _require_bounded(archive: zipfile.ZipFile) -> None:
    files = archive.infolist()
    if len(files) > FILES or sum(file.file_size for file in files) > TOTAL:
        raise RequestError(f"an export has at most {FILES} files, of {TOTAL} bytes together")
    if any(file.compress_type not in METHODS for file in files):
        raise RequestError("an export's files are stored or deflated; this one has others")


def _read(archive: zipfile.ZipFile, key: bytes) -> Export:
    digests = _digests(_file(archive, MANIFEST), _file(archive, SIGNATURE), key)
    files = {name: _checked(archive, name, digest) for name, digest in digests.items()}
    devices = _DEVICES.validate_json(files["tables/devices.json"])
    return Export(
        _PEOPLE.validate_json(files["tables/subjects.json"])[0],
        tuple(bytes.fromhex(one.key) for one in devices),
        tuple(_CONSENTS.validate_json(files["consents.json"])),
    )


def _digests(manifest: bytes, signature: bytes, key: bytes) -> dict[str, str]:
    public = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": urlsafe_b64encode(key).decode()})
    try:
        signed = jws.deserialize_compact(signature, public, [ALGORITHM]).payload
    except (JoseError, ValueError):
        raise DeniedError(
            "the export is not signed by the registry that is named; nothing in it is used"
        ) from None
    said: Any = orjson.loads(signed)
    if signed != manifest or said["format"] != FORMAT:
        raise DeniedError("the export's manifest is not the one that was signed; nothing in it is used")
    return dict(said["files"])


def _checked(archive: zipfile.ZipFile, name: str, digest: str) -> bytes:
    data = _file(archive, name)
    if hashlib.sha256(data).hexdigest() != digest:
        raise DeniedError(f"{name} is not the file that was signed; nothing in the export is used")
    return data


def _file(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as file:
        data = file.read(LIMIT + 1)
    if len(data) > LIMIT:
        raise RequestError(f"{name} is longer than {LIMIT} bytes")
    return data


def _act(subject: str, consent: _Consent, source: str) -> ConsentEvent:
    said = consent.record
    major = said.notice.partition(".")[0]
    return ConsentEvent(
        subject, said.purpose, said.state, said.actor, said.method, said.at, notice=said.notice,
        version=int(major) if major.isdecimal() else 0, language=said.language,
        text=bytes.fromhex(said.text), expires_at=said.expires, signed=bytes.fromhex(consent.signed),
        source=source,
    )  # fmt: skip
