"""The log as static tiles (C2SP tlog-tiles): `/checkpoint`, and below `/tile/` what never changes."""

from __future__ import annotations

from fastapi import APIRouter, Response

from covey_consent.api.http import FOR_EVER, Here
from covey_consent.errors import UnknownError
from covey_privacy import tiles
from covey_privacy.errors import PeerError

router = APIRouter(tags=["tiles"])


@router.get("/checkpoint")
async def newest_checkpoint(here: Here) -> Response:
    """Return the newest checkpoint as a signed note, with the cosignatures that came so far."""
    headers = {"Cache-Control": "no-cache"}
    return Response(here.log.note, media_type="text/plain; charset=utf-8", headers=headers)


@router.get("/tile/{path:path}")
async def tile(path: str, here: Here) -> Response:
    """Return a tile's hashes or a bundle of entries; 404 beyond the newest checkpoint."""
    try:
        asked = tiles.parse_path(f"tile/{path}")
    except PeerError as error:
        raise UnknownError(str(error)) from None
    data = await here.log.tile(asked)
    return Response(data, media_type="application/octet-stream", headers=FOR_EVER)
