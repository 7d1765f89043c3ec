"""The import route: a person comes with the export that another registry gave them."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel
from sqlalchemy.orm import Session

from covey_consent.access.authorization import needs
from covey_consent.access.roles import Caller, Role
from covey_consent.api.http import Here
from covey_consent.api.idempotency import OnceOnly, answer
from covey_consent.api.schemas import SUBJECT, shown
from covey_consent.errors import DeniedError
from covey_consent.registry import Registry
from covey_consent.rights import imports
from covey_consent.rights.imports import Export
from covey_consent.storage.idempotency import Answer

router = APIRouter(tags=["rights"])

Admin = Annotated[Caller, needs(Role.ADMIN)]
Key = Annotated[
    str,
    Query(
        pattern="^[0-9a-f]{64}$",
        description="Public key of the registry that exported, one of COVEY_REGISTRY_IMPORTS_FROM",
    ),
]


class Imported(BaseModel):
    """A person who was imported; a guardian who is not known here is `lost`."""

    model_config = shown({"subject": SUBJECT, "devices": 1, "consents": 7, "guardian": "none"})

    subject: str
    devices: int
    consents: int
    guardian: Literal["none", "linked", "lost"]


@router.post("/v1/imports", status_code=201, response_model=Imported)
async def import_person(request: Request, here: Here, caller: Admin, key: Key, once: OnceOnly) -> Response:
    """Make a person known with what they said elsewhere: the body is the zip that the key's registry made.

    The key is one that the operator pinned; what is imported stays marked as imported from it.
    """
    _require_pinned(here, key)
    source = bytes.fromhex(key)
    export = await asyncio.to_thread(imports.read_export, await request.body(), source)
    return await once.create(caller, _import, here, export, source)


def _import(session: Session, here: Registry, export: Export, source: bytes) -> Answer:
    imported = Imported(
        subject=export.person.subject, devices=len(export.devices), consents=len(export.consents),
        guardian=imports.import_person(session, here.subjects, here.choices, export, source),
    )  # fmt: skip
    return answer(imported, imported.subject)


def _require_pinned(here: Registry, key: str) -> None:
    pinned = here.settings.imports_from
    if not pinned:
        raise DeniedError(
            "this registry takes no imports; its operator pins the public keys of registries whose exports "
            "count here in COVEY_REGISTRY_IMPORTS_FROM"
        )
    if key not in pinned:
        raise DeniedError(
            "exports under this key are not taken here; COVEY_REGISTRY_IMPORTS_FROM names the keys that are"
        )
