"""The transparency log, for phones, auditors and witnesses."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from covey_consent.api.http import Here, cbor

router = APIRouter(prefix="/v1/log", tags=["log"])

LeafHash = Annotated[str, Path(pattern="^[0-9a-f]{64}$")]


@router.get("/checkpoint")
async def checkpoint(here: Here) -> Response:
    """Return the newest checkpoint as a signed note, once its witnesses have cosigned it or are silent."""
    settled = await here.cosigners.settle()
    return Response(here.log.cosigned_note(settled), media_type="text/plain; charset=utf-8")


@router.get("/inclusion/{leaf}")
async def inclusion(leaf: LeafHash, here: Here, size: int | None = None) -> Response:
    """Return `Inclusion` of a leaf hash in the first `size` leaves (now: all)."""
    return cbor(await here.log.inclusion(bytes.fromhex(leaf), size))


@router.get("/consistency")
async def consistency(here: Here, old: int, size: int | None = None) -> Response:
    """Return the `ConsistencyProof` between two sizes of the log."""
    return cbor(here.log.consistency(old, size))


@router.get("/entries")
async def entries(here: Here, start: int, end: int) -> Response:
    """Return `Entries` start to end (exclusive), at most 1,024 and about 1 MiB: ask on from where it ends."""
    return cbor(await here.log.entries(start, end))
