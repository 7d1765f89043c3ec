"""Receipts of consent: to read by machine, to check offline, to print."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal
from uuid import uuid4

from fastapi import APIRouter, Path, Response
from fastapi.responses import HTMLResponse, JSONResponse

from covey_consent.access.authorization import needs
from covey_consent.access.roles import Caller, Role
from covey_consent.api.data_subject import of_event
from covey_consent.api.http import Here
from covey_consent.receipts import kantara, page, schema, signing
from covey_consent.receipts.schema_27560 import Receipt

router = APIRouter(prefix="/v1/receipts", tags=["receipts"])

Reader = Annotated[Caller, needs(Role.SUBJECT, Role.OFFICER, Role.AUDITOR, about=of_event)]
Event = Annotated[str, Path(pattern="^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]

_PRIVATE = {"cache-control": "no-store"}

_EXAMPLE: dict[str, Any] = {"example": json.loads(schema.packaged(schema.EXAMPLE))}
_OLD: dict[str, Any] = {
    "schema": {"type": "object", "properties": {"version": {"const": kantara.VERSION}}},
    "example": {"version": kantara.VERSION},
}


class JsonLd(JSONResponse):
    """JSON-LD, written already: signatures are over its bytes."""

    media_type = "application/ld+json"

    def render(self, content: bytes) -> bytes:
        """Return the content as it is."""
        return content


@router.get(
    "/{event}.json",
    response_class=JsonLd,
    responses={200: {"model": Receipt, "content": {JsonLd.media_type: _EXAMPLE, "application/json": _OLD}}},
)
async def receipt_json(
    event: Event, here: Here, caller: Reader, profile: Literal["kantara-1.1"] | None = None
) -> Response:
    """Return the event's receipt as JSON-LD, or in the Kantara Initiative's older format."""
    case = await here.receipts.case(event, caller, here.calendar.year)
    if profile == kantara.PROFILE:
        old = kantara.receipt(str(uuid4()), case, here.controller, here.receipts.public)
        return JSONResponse(old, headers=_PRIVATE)
    receipt = here.receipts.receipt(str(uuid4()), here.calendar.milliseconds, case)
    return JsonLd(signing.canonical(receipt), headers=_PRIVATE)


@router.get("/{event}.jwt", responses={200: {"content": {"application/jose": {}}}}, response_class=Response)
async def receipt_jwt(event: Event, here: Here, caller: Reader) -> Response:
    """Return the event's receipt as a JWS: what `covey registry receipt verify` checks offline."""
    case = await here.receipts.case(event, caller, here.calendar.year)
    receipt = here.receipts.receipt(str(uuid4()), here.calendar.milliseconds, case)
    name = {"content-disposition": f'attachment; filename="receipt-{event}.jwt"'}
    return Response(here.receipts.sign(receipt), media_type="application/jose", headers=_PRIVATE | name)


@router.get("/{event}.html", response_class=HTMLResponse)
async def receipt_html(event: Event, here: Here, caller: Reader) -> HTMLResponse:
    """Return the event's receipt as one page to read and print."""
    case = await here.receipts.case(event, caller, here.calendar.year)
    receipt = here.receipts.receipt(str(uuid4()), here.calendar.milliseconds, case)
    return HTMLResponse(page.render(receipt), headers=_PRIVATE | {"content-security-policy": page.POLICY})
