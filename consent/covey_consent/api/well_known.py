"""Well-known addresses (RFC 8615): the registry's keys, its support of GPC, and security.txt."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from covey_consent.api.http import RegistryDep
from covey_consent.api.schemas import ClosedModel
from covey_consent.receipts.signed_receipts import public_jwk

router = APIRouter(prefix="/.well-known", tags=["well known"])

SECURITY_TXT_SECONDS = 90 * 86400
GPC_SINCE = "2026-11-22"


class Jwk(BaseModel):
    """A public Ed25519 key (RFC 8037)."""

    kty: str
    crv: str
    x: str
    kid: str
    alg: str
    use: str


class Jwks(ClosedModel):
    """A set of public keys (RFC 7517)."""

    keys: list[Jwk]


class Gpc(ClosedModel):
    """Whether the signal is heeded, and since when."""

    gpc: bool
    lastUpdate: str  # noqa: N815  the specification's name


@router.get("/jwks.json")
async def jwks(registry: RegistryDep) -> Jwks:
    """Return the public keys that verify what the registry signs as JWS (RFC 7517)."""
    return Jwks(keys=[Jwk(**key) for key in (registry.tokens.public, public_jwk(registry.key.public))])


@router.get("/gpc.json")
async def gpc() -> Gpc:
    """Say that the Global Privacy Control signal is heeded: it objects to what shares data with others."""
    return Gpc(gpc=True, lastUpdate=GPC_SINCE)


@router.get("/security.txt")
async def security_txt(registry: RegistryDep) -> PlainTextResponse:
    """Say whom to tell of a weakness (RFC 9116)."""
    expires = datetime.fromtimestamp(registry.calendar.now + SECURITY_TXT_SECONDS, UTC)
    lines = (
        f"Contact: mailto:{registry.controller.email}",
        f"Expires: {expires:%Y-%m-%dT%H:%M:%SZ}",
        "Preferred-Languages: en, zh",
    )
    return PlainTextResponse("".join(f"{line}\n" for line in lines))
