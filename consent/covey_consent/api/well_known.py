"""What others look for at well-known addresses (RFC 8615): keys, signals heeded, and whom to tell."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse

from covey_consent.api.http import Here
from covey_consent.receipts import signing

router = APIRouter(prefix="/.well-known", tags=["well known"])

SECURITY_TXT_SECONDS = 90 * 86400
GPC_SINCE = "2026-11-22"


@router.get("/jwks.json")
async def jwks(here: Here) -> dict[str, Any]:
    """Return the public keys that verify what the registry signs as JWS (RFC 7517)."""
    return {"keys": [here.tokens.public, signing.public_jwk(here.key.public)]}


@router.get("/gpc.json")
async def gpc() -> dict[str, Any]:
    """Say that the Global Privacy Control signal is heeded: it objects to what shares data with others."""
    return {"gpc": True, "lastUpdate": GPC_SINCE}


@router.get("/security.txt")
async def security_txt(here: Here) -> PlainTextResponse:
    """Say whom to tell of a weakness (RFC 9116)."""
    expires = datetime.fromtimestamp(here.calendar.now + SECURITY_TXT_SECONDS, UTC)
    lines = (
        f"Contact: mailto:{here.controller.email}",
        f"Expires: {expires:%Y-%m-%dT%H:%M:%SZ}",
        "Preferred-Languages: en, zh",
    )
    return PlainTextResponse("".join(f"{line}\n" for line in lines))
