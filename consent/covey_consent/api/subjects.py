"""Routes for data subjects: their creation or import, devices and attributes."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict
from sqlalchemy.orm import Session

from covey_consent.access import access_log
from covey_consent.access.idempotency import Answer
from covey_consent.access.roles import LOGGED, Caller, Role
from covey_consent.api.authorization import needs, reason
from covey_consent.api.http import RegistryDep
from covey_consent.api.request_headers import IfMatch, OnceOnly, answer, etag, require_match, tagged
from covey_consent.api.schemas import ClosedModel, Country, Pseudonym, Year
from covey_consent.decisions import subjects
from covey_consent.errors import DeniedError
from covey_consent.rights import imports

router = APIRouter(prefix="/v1")

Shop = Annotated[Caller, needs(Role.SERVICE, Role.ADMIN)]
Owner = Annotated[Caller, needs(Role.SUBJECT, Role.SERVICE, Role.OFFICER)]
DeviceKey = Annotated[str, Path(pattern="^[0-9a-f]{64}$")]
Officer = Annotated[Caller, needs(Role.OFFICER)]
Reader = Annotated[Caller, needs(Role.SUBJECT, Role.OFFICER, Role.AUDITOR)]
RegistryKey = Annotated[
    str,
    Query(
        pattern="^[0-9a-f]{64}$",
        description="Public key of the registry that exported, one of COVEY_REGISTRY_IMPORTS_FROM",
    ),
]


class NewSubject(ClosedModel):
    """A person whom the shop's server makes known. Nothing about them is needed."""

    country: Country | None = None
    birth_year: Year | None = None
    guardian: Pseudonym | None = None


class Known(ClosedModel):
    """A person's pseudonym."""

    subject: Pseudonym


class Attributes(ClosedModel):
    """What is to be put right about a person; what is not named stays."""

    country: Country | Literal[""] = ""
    birth_year: Year | None = None
    guardian: Pseudonym | None = None

    @property
    def named(self) -> dict[str, Any]:
        """The attributes that were sent, null ones too."""
        return self.model_dump(include=self.model_fields_set)


class PersonsAttributes(BaseModel):
    """What a registry keeps about a person beside their choices."""

    model_config = ConfigDict(from_attributes=True)

    country: str
    birth_year: int | None
    guardian: str | None


class Imported(BaseModel):
    """A person who was imported; a guardian who is not known here is `lost`."""

    subject: str
    devices: int
    consents: int
    guardian: Literal["none", "linked", "lost"]


@router.post("/subjects", status_code=201, response_model=Known, tags=["subjects"])
async def create(person: NewSubject, registry: RegistryDep, caller: Shop, once: OnceOnly) -> Response:
    """Make a person known, who then has a pseudonym."""

    def work(session: Session) -> Answer:
        subject = registry.subjects.create(session, person.country or "", person.birth_year, person.guardian)
        return answer(Known(subject=subject), subject)

    return await once.create(caller, work)


@router.put("/subjects/{subject}/devices/{key}", status_code=204, tags=["subjects"])
async def attach(subject: Pseudonym, key: DeviceKey, registry: RegistryDep, _caller: Shop) -> Response:
    """Let a device speak for the person, before it enrols itself."""
    await registry.store.write(registry.subjects.attach, subject, bytes.fromhex(key))
    return Response(status_code=204)


@router.delete("/subjects/{subject}/devices/{key}", status_code=204, tags=["subjects"])
async def detach(subject: Pseudonym, key: DeviceKey, registry: RegistryDep, caller: Owner) -> Response:
    """Let a device, such as a lost one, speak for the person no more: nothing that it signs counts."""
    device = bytes.fromhex(key)

    def work(session: Session) -> None:
        registry.subjects.detach(session, subject, device)
        registry.choices.forget_device(session, device)
        if caller.role not in LOGGED:
            access_log.record(session, caller, detach.__name__, subject, None, registry.calendar.now)

    await registry.store.write(work)
    return Response(status_code=204)


@router.get("/subjects/{subject}/attributes", tags=["rights"])
async def read_attributes(
    subject: Pseudonym, registry: RegistryDep, _caller: Reader, response: Response
) -> PersonsAttributes:
    """Return what is kept about a person beside their choices; the ETag is needed to put it right."""
    person = await registry.store.read(subjects.find, subject)
    return tagged(response, PersonsAttributes.model_validate(person))


@router.patch("/subjects/{subject}/attributes", tags=["rights"])
async def rectify(
    subject: Pseudonym,
    said: Attributes,
    registry: RegistryDep,
    caller: Officer,
    request: Request,
    response: Response,
    if_match: IfMatch = None,
) -> PersonsAttributes:
    """Put right what is kept about a person; what it was before is kept."""
    why = reason(request) or ""

    def change(session: Session) -> PersonsAttributes:
        found = subjects.find(session, subject)
        require_match(if_match, etag(PersonsAttributes.model_validate(found)))
        rectified = registry.rights.effects.rectification.rectify(session, subject, said.named, caller, why)
        return PersonsAttributes.model_validate(rectified)

    return tagged(response, await registry.store.write(change))


@router.post("/imports", status_code=201, response_model=Imported, tags=["rights"])
async def import_person(
    request: Request,
    registry: RegistryDep,
    caller: Annotated[Caller, needs(Role.ADMIN)],
    key: RegistryKey,
    once: OnceOnly,
) -> Response:
    """Make a person known with what they said elsewhere: the body is the zip that the key's registry made.

    The key is one that the operator pinned; what is imported stays marked as imported from it.
    """
    if not registry.settings.imports_from:
        raise DeniedError(
            "this registry takes no imports; its operator pins the public keys of registries whose exports "
            "count here in COVEY_REGISTRY_IMPORTS_FROM"
        )
    if key not in registry.settings.imports_from:
        raise DeniedError(
            "exports under this key are not taken here; COVEY_REGISTRY_IMPORTS_FROM names the keys that are"
        )
    source = bytes.fromhex(key)
    export = await asyncio.to_thread(imports.read_export, await request.body(), source)

    def work(session: Session) -> Answer:
        guardian = imports.import_person(session, registry.subjects, registry.choices, export, source)
        counts = {"devices": len(export.devices), "consents": len(export.consents)}
        return answer(
            Imported(subject=export.person.subject, guardian=guardian, **counts), export.person.subject
        )

    return await once.create(caller, work)
