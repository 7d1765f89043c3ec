"""People as the shop's server makes them known: their devices, age and guardian."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from covey_consent.access.guard import needs
from covey_consent.access.roles import Caller, Role
from covey_consent.api.http import Here
from covey_consent.api.schemas import Known, NewSubject, Pseudonym

router = APIRouter(prefix="/v1/subjects", tags=["subjects"])

Shop = Annotated[Caller, needs(Role.SERVICE, Role.ADMIN)]
DeviceKey = Annotated[str, Path(pattern="^[0-9a-f]{64}$")]


@router.post("", status_code=201)
async def create(person: NewSubject, here: Here, _caller: Shop) -> Known:
    """Make a person known, who then has a pseudonym."""
    facts = person.country or "", person.birth_year, person.guardian
    return Known(subject=await here.store.write(here.subjects.create, *facts))


@router.put("/{subject}/devices/{key}", status_code=204)
async def attach(subject: Pseudonym, key: DeviceKey, here: Here, _caller: Shop) -> Response:
    """Let a device speak for the person, before it enrols itself."""
    await here.store.write(here.subjects.attach, subject, bytes.fromhex(key))
    return Response(status_code=204)
