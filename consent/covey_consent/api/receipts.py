"""Receipts of consent: to read by machine, to check offline, to print."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from sqlalchemy import select

from covey_consent.access.roles import Caller, Role
from covey_consent.api.authorization import needs
from covey_consent.api.http import RegistryDep
from covey_consent.receipts import signed_receipts
from covey_consent.receipts.page import POLICY, render_receipt
from covey_consent.receipts.schema_27560 import EXAMPLE, Receipt, read_packaged
from covey_consent.registry import Registry
from covey_consent.storage.models import Event

router = APIRouter(prefix="/v1/receipts", tags=["receipts"])


async def subject_of_event(registry: Registry, request: Request) -> str | None:
    """Return the person whose event the address names."""
    query = select(Event.subject).filter_by(event=request.path_params["event"])
    return await registry.store.read(lambda session: session.scalar(query))


Reader = Annotated[Caller, needs(Role.SUBJECT, Role.OFFICER, Role.AUDITOR, about=subject_of_event)]
EventId = Annotated[str, Path(pattern="^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]

_PRIVATE = {"cache-control": "no-store"}

_EXAMPLE: dict[str, Any] = {"example": json.loads(read_packaged(EXAMPLE))}


class JsonLd(JSONResponse):
    """JSON-LD, written already: signatures are over its bytes."""

    media_type = "application/ld+json"

    def render(self, content: bytes) -> bytes:
        """Return the content as it is."""
        return content


@router.get(
    "/{event}.json",
    response_class=JsonLd,
    responses={200: {"model": Receipt, "content": {JsonLd.media_type: _EXAMPLE}}},
)
async def receipt_json(event: EventId, registry: RegistryDep, caller: Reader) -> Response:
    """Return the event's receipt as JSON-LD."""
    receipt = await registry.receipts.issue(event, caller)
    return JsonLd(signed_receipts.canonical(receipt), headers=_PRIVATE)


@router.get("/{event}.jwt", responses={200: {"content": {"application/jose": {}}}}, response_class=Response)
async def receipt_jwt(event: EventId, registry: RegistryDep, caller: Reader) -> Response:
    """Return the event's receipt as a JWS: what `covey registry receipt verify` checks offline."""
    signed = signed_receipts.sign(await registry.receipts.issue(event, caller), registry.key)
    name = {"content-disposition": f'attachment; filename="receipt-{event}.jwt"'}
    return Response(signed, media_type="application/jose", headers=_PRIVATE | name)


@router.get("/{event}.html", response_class=HTMLResponse)
async def receipt_html(event: EventId, registry: RegistryDep, caller: Reader) -> HTMLResponse:
    """Return the event's receipt as one page to read and print."""
    receipt = await registry.receipts.issue(event, caller)
    return HTMLResponse(render_receipt(receipt), headers=_PRIVATE | {"content-security-policy": POLICY})
