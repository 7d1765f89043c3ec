"""What anyone may read before deciding: purposes and notices."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Response

from covey_consent import notices, purposes
from covey_consent.api.http import CBOR, Here

router = APIRouter(tags=["notices"])


@router.get("/v1/purposes")
async def list_purposes() -> list[dict[str, Any]]:
    """List every purpose with its words, lawful bases and what it gates; refused ones are named as such."""
    return [asdict(purpose) for purpose in purposes.load().values()]


@router.get("/v1/notices")
async def download(here: Here) -> Response:
    """Return `Notices`: every notice in force, signed by the registry; the same for everyone."""
    return Response(here.download, media_type=CBOR)


@router.get("/v1/notices/{purpose}")
async def read(purpose: str, here: Here, language: str = "en") -> dict[str, Any]:
    """Return one notice to read, in its first language where the asked one is missing."""
    notice = notices.find(here.notices, purpose)
    text = notice.text(language)
    return {
        "purpose": notice.purpose,
        "version": notice.version,
        "basis": notice.basis,
        "epsilon": notice.epsilon,
        "epsilon_total": notice.epsilon_total,
        "delta": notice.delta,
        "language": text.language,
        "title": text.title,
        "text": text.text,
        "digest": text.digest.hex(),
    }
