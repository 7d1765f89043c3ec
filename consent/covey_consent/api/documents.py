"""Routes for the documents that the law demands, made from the registry's current state."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel

from covey_consent.access.roles import Caller, Role
from covey_consent.api.authorization import needs
from covey_consent.api.http import RegistryDep
from covey_consent.documents.catalogue import Name, make_document
from covey_consent.documents.facts import gather_facts
from covey_consent.documents.rendering import MEDIA, Format, render

router = APIRouter(prefix="/v1/documents", tags=["documents"])

ALONE = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
"""Headers of a page that loads nothing, cannot be framed and is not cached."""


class CheckpointHead(BaseModel):
    """The log when a document was made."""

    origin: str
    size: int
    root: str


class Made(BaseModel):
    """A document; `blanks` counts what the officer has to fill in, each where it stands."""

    document: str
    title: str
    title_zh: str
    evidence_for: str
    controller: str
    made_at: str
    covey: str
    log: CheckpointHead
    blanks: int
    sections: list[dict[str, Any]]


WRITTEN: dict[str, Any] = {each: {} for format_, each in MEDIA.items() if format_ is not Format.JSON}


@router.get("/{name}", responses={200: {"model": Made, "content": WRITTEN}})
async def document(
    name: Name,
    registry: RegistryDep,
    _caller: Annotated[Caller, needs(Role.OFFICER, Role.AUDITOR)],
    purpose: Annotated[str | None, Query(max_length=200)] = None,
    round_id: Annotated[str | None, Query(alias="round", max_length=200)] = None,
    written_as: Annotated[Format, Query(alias="format")] = Format.JSON,
) -> Response:
    """Return a document; an assessment (dpia) is of one `purpose`, a dossier of one `round`."""
    facts = await registry.store.read(
        gather_facts, registry.settings, registry.controller, registry.calendar.now
    )
    text = render(make_document(facts, name, purpose, round_id), written_as)
    return Response(text, media_type=MEDIA[written_as], headers=ALONE)
