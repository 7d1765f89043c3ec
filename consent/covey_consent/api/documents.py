"""The documents that the law asks for, made from the facts of the moment."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel

from covey_consent.access.authorization import needs
from covey_consent.access.roles import Caller, Role
from covey_consent.api.http import Here
from covey_consent.api.schemas import shown
from covey_consent.documents.catalogue import Name, make_document
from covey_consent.documents.facts import gather_facts
from covey_consent.documents.rendering import MEDIA, Format, render

router = APIRouter(prefix="/v1/documents", tags=["documents"])

Which = Annotated[str | None, Query(max_length=200)]

ALONE = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
"""A page that fetches nothing, is framed by none and kept nowhere."""


class Head(BaseModel):
    """The log when a document was made."""

    origin: str
    size: int
    root: str


class Made(BaseModel):
    """A document; `blanks` counts what the officer has to fill in, each where it stands."""

    model_config = shown(
        {
            "document": "toms", "title": "Security measures", "title_zh": "安全措施",
            "evidence_for": "GDPR Art. 32", "controller": "Covey Example Shop",
            "made_at": "2027-01-15T08:00:00Z", "covey": "0.1.0",
            "log": {"origin": "shop.example/log", "size": 41, "root": "ab" * 32},
            "blanks": 1,
            "sections": [
                {
                    "heading": "Measures", "heading_zh": "措施",
                    "facts": {"backups": {"blank": "how often backups are made"}},
                }
            ],
        }
    )  # fmt: skip

    document: str
    title: str
    title_zh: str
    evidence_for: str
    controller: str
    made_at: str
    covey: str
    log: Head
    blanks: int
    sections: list[dict[str, Any]]


WRITTEN: dict[str, Any] = {each: {} for format_, each in MEDIA.items() if format_ is not Format.JSON}


@router.get("/{name}", responses={200: {"model": Made, "content": WRITTEN}})
async def document(
    name: Name,
    here: Here,
    _caller: Annotated[Caller, needs(Role.OFFICER, Role.AUDITOR)],
    purpose: Which = None,
    round_id: Annotated[str | None, Query(alias="round", max_length=200)] = None,
    written_as: Annotated[Format, Query(alias="format")] = Format.JSON,
) -> Response:
    """Return a document; an assessment (dpia) is of one `purpose`, a dossier of one `round`."""
    facts = await here.store.read(gather_facts, here.settings, here.controller, here.calendar.now)
    text = render(make_document(facts, name, purpose, round_id), written_as)
    return Response(text, media_type=MEDIA[written_as], headers=ALONE)
