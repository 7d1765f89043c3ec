"""The transparency log, for phones, auditors and witnesses: proofs, promises, and C2SP tlog-tiles."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel

from covey_consent.api.http import FOR_EVER, RegistryDep, cbor
from covey_consent.api.media import BYTES, TEXT
from covey_consent.errors import UnknownError
from covey_consent.transparency import promises
from covey_privacy import tiles
from covey_privacy.errors import PeerError

router = APIRouter()

Hash = Annotated[str, Path(pattern="^[0-9a-f]{64}$")]


class PromiseStanding(BaseModel):
    """`index` is the event's place in the log once published; `publish_by` (Unix ms) is set until then."""

    state: Literal["promised", "published"]
    index: int | None
    publish_by: int | None


@router.get("/checkpoint", tags=["tiles"])
async def newest_checkpoint(registry: RegistryDep) -> Response:
    """Return the newest checkpoint as a signed note, with the cosignatures that came so far."""
    return Response(registry.log.note, media_type=TEXT, headers={"Cache-Control": "no-cache"})


@router.get("/tile/{path:path}", tags=["tiles"])
async def tile(path: str, registry: RegistryDep) -> Response:
    """Return a tile's hashes or a bundle of entries; 404 beyond the newest checkpoint."""
    try:
        asked = tiles.parse_path(f"tile/{path}")
    except PeerError as error:
        raise UnknownError(str(error)) from None
    return Response(await registry.log.tile(asked), media_type=BYTES, headers=FOR_EVER)


@router.get("/v1/log/checkpoint", tags=["log"])
async def checkpoint(registry: RegistryDep) -> Response:
    """Return the newest checkpoint as a signed note, once its witnesses have cosigned it or are silent."""
    settled = await registry.cosigners.settle()
    return Response(registry.log.cosigned_note(settled), media_type=TEXT)


@router.get("/v1/log/inclusion/{leaf}", tags=["log"])
async def inclusion(leaf: Hash, registry: RegistryDep, size: int | None = None) -> Response:
    """Return `Inclusion` of a leaf hash in the first `size` leaves (now: all)."""
    return cbor(await registry.log.inclusion(bytes.fromhex(leaf), size))


@router.get("/v1/log/consistency", tags=["log"])
async def consistency(registry: RegistryDep, old: int, size: int | None = None) -> Response:
    """Return the `ConsistencyProof` between two sizes of the log."""
    return cbor(registry.log.consistency(old, size))


@router.get("/v1/log/entries", tags=["log"])
async def entries(registry: RegistryDep, start: int, end: int) -> Response:
    """Return `Entries` start to end (exclusive), at most 1,024 and about 1 MiB: ask on from where it ends."""
    return cbor(await registry.log.entries(start, end))


@router.get("/v1/log/promises/{commitment}", tags=["log"])
async def promise_standing(commitment: Hash, registry: RegistryDep) -> PromiseStanding:
    """Say whether the event with this commitment is in the log yet; 404 where it was never promised."""
    found = await promises.find(bytes.fromhex(commitment), registry.log, registry.store, registry.calendar)
    return PromiseStanding(**asdict(found))
