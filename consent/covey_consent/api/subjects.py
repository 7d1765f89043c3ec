"""People as the shop's server makes them known: their devices, age and guardian."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response
from sqlalchemy.orm import Session

from covey_consent.access import access_log
from covey_consent.access.authorization import needs
from covey_consent.access.roles import LOGGED, Caller, Role
from covey_consent.api.http import Here
from covey_consent.api.idempotency import OnceOnly, answer
from covey_consent.api.schemas import Known, NewSubject, Pseudonym
from covey_consent.registry import Registry
from covey_consent.storage.idempotency import Answer

router = APIRouter(prefix="/v1/subjects", tags=["subjects"])

Shop = Annotated[Caller, needs(Role.SERVICE, Role.ADMIN)]
Owner = Annotated[Caller, needs(Role.SUBJECT, Role.SERVICE, Role.OFFICER)]
DeviceKey = Annotated[str, Path(pattern="^[0-9a-f]{64}$")]


@router.post("", status_code=201, response_model=Known)
async def create(person: NewSubject, here: Here, caller: Shop, once: OnceOnly) -> Response:
    """Make a person known, who then has a pseudonym."""
    return await once.create(caller, _create, here, person)


@router.put("/{subject}/devices/{key}", status_code=204)
async def attach(subject: Pseudonym, key: DeviceKey, here: Here, _caller: Shop) -> Response:
    """Let a device speak for the person, before it enrols itself."""
    await here.store.write(here.subjects.attach, subject, bytes.fromhex(key))
    return Response(status_code=204)


@router.delete("/{subject}/devices/{key}", status_code=204)
async def detach(subject: Pseudonym, key: DeviceKey, here: Here, caller: Owner) -> Response:
    """Let a device, such as a lost one, speak for the person no more: nothing that it signs counts."""
    await here.store.write(_detach, here, subject, bytes.fromhex(key), caller)
    return Response(status_code=204)


def _detach(session: Session, here: Registry, subject: str, key: bytes, caller: Caller) -> None:
    here.subjects.detach(session, subject, key)
    here.choices.forget_device(session, key)
    if caller.role not in LOGGED:
        access_log.record(session, caller, detach.__name__, subject, None, here.calendar.now)


def _create(session: Session, here: Registry, person: NewSubject) -> Answer:
    subject = here.subjects.create(session, person.country or "", person.birth_year, person.guardian)
    return answer(Known(subject=subject), subject)
