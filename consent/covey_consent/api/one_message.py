"""Rounds in one message: what phones, the operator and anyone ask the registry.

Phones show a ticket and name no device. The operator signs each request (header `Covey-Signature`). What the
registry signs is answered with its place in the log, under a note that its witnesses cosigned.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, TypeVar

from fastapi import APIRouter, Path, Request, Response

from covey_consent.api import operator
from covey_consent.api.bodies import OFFER
from covey_consent.api.http import CBOR, FOR_EVER, MESSAGE, SET_REQUEST, Here, body, cbor
from covey_consent.api.operator import Signature
from covey_consent.registry import Registry
from covey_consent.rounds.signed_sets import find_leaves
from covey_consent.rounds.state import read_entries
from covey_privacy import wire
from covey_privacy.fixed_records import layout
from covey_privacy.secagg.messages import Entry
from covey_privacy.secagg.notary_messages import (
    DRAW_REQUEST,
    EXCLUSION_REQUEST,
    GRANT_REQUEST,
    INCLUSION_REQUEST,
    ROSTER_REQUEST,
    DrawRequest,
    ExclusionRequest,
    GrantRequest,
    InclusionRequest,
    RosterRequest,
    request_statement,
)

router = APIRouter(tags=["rounds"])

T = TypeVar("T")
Root = Annotated[str, Path(pattern="^[0-9a-f]{64}$")]

COMMITTEE_FILE = 2**20
"""Bytes of a committee file with its framing, at most: 600 decryptors of 420 bytes, and nine seats."""


@router.get("/v1/rounds/{round_id}")
async def read_round(round_id: str, here: Here) -> Response:
    """Return the `RoundEntries`: a round's signed manifest, and all that the registry signed in it."""
    return cbor(await here.store.read(read_entries, round_id))


@router.post("/v1/rounds/{round_id}/volunteers", status_code=204)
async def volunteer(round_id: str, request: Request, here: Here) -> None:
    """Take a phone's `VolunteerOffer` to be a decryptor, until the manifest's `volunteer` window closes."""
    await here.round_notary.volunteer(round_id, await body(request, OFFER))


@router.post("/v1/rounds/{round_id}/retractions", status_code=204)
async def retract(round_id: str, request: Request, here: Here) -> None:
    """Keep the round key of a `Retraction` out of the round. 409 where the included set holds it."""
    await here.round_notary.retract(round_id, await body(request, OFFER))


@router.post("/v1/rounds/{round_id}/roster")
async def sign_roster(round_id: str, request: Request, here: Here, signature: Signature) -> Response:
    """Sign the roster of all volunteers as a `RosterRequest` asks; answers `LoggedHead`.

    The header carries the operator's signature over the body's SHA-256 in hex; so for the next four.
    """
    asked = await _signed(request, here, signature, RosterRequest, ROSTER_REQUEST, OFFER)
    return cbor(await here.round_notary.roster(round_id, asked))


@router.post("/v1/rounds/{round_id}/draw")
async def draw(round_id: str, request: Request, here: Here, signature: Signature) -> Response:
    """Draw the committee by the nonce in a `DrawRequest`; answers `DrawAnswer`."""
    asked = await _signed(request, here, signature, DrawRequest, DRAW_REQUEST, OFFER)
    return cbor(await here.round_notary.draw(round_id, asked))


@router.post("/v1/rounds/{round_id}/included")
async def include(round_id: str, request: Request, here: Here, signature: Signature) -> Response:
    """Sign the included set of an `InclusionRequest`; answers `InclusionAnswer`.

    Where members cannot take part, the answer names each with the rule that it broke, and nothing is signed.
    """
    opened = await here.round_notary.find(round_id)
    limit = COMMITTEE_FILE + opened.info.terms.most * layout(Entry).size
    asked = await _signed(request, here, signature, InclusionRequest, INCLUSION_REQUEST, limit)
    return cbor(await here.round_notary.include(round_id, asked))


@router.post("/v1/rounds/{round_id}/disputes")
async def grant_dispute(round_id: str, request: Request, here: Here, signature: Signature) -> Response:
    """Grant one decryptor to show the point that it shares with a member; answers `LoggedHead`.

    Takes a `GrantRequest`. A member is disputed by one decryptor alone.
    """
    asked = await _signed(request, here, signature, GrantRequest, GRANT_REQUEST, MESSAGE)
    return cbor(await here.round_notary.dispute(round_id, asked))


@router.post("/v1/rounds/{round_id}/final")
async def finalise(round_id: str, request: Request, here: Here, signature: Signature) -> Response:
    """Sign the final set of an `ExclusionRequest`; answers `LoggedHead`."""
    asked = await _signed(request, here, signature, ExclusionRequest, EXCLUSION_REQUEST, SET_REQUEST)
    return cbor(await here.round_notary.final(round_id, asked))


@router.get("/v1/sets/{root}")
async def read_set(root: Root, request: Request, here: Here) -> Response:
    """Return the `SetLeaves` of a signed included or final set by its Merkle root, sorted by round key."""
    leaves = await here.store.read(find_leaves, bytes.fromhex(root))
    headers = {**FOR_EVER, "ETag": f'"{root}"'}
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(await asyncio.to_thread(wire.encode, leaves), media_type=CBOR, headers=headers)


async def _signed(
    request: Request, here: Registry, signature: str, cls: type[T], context: str, limit: int
) -> T:
    """Return the request's message, which the operator signed."""
    operator.key(here)
    data = await body(request, min(SET_REQUEST, limit))
    statement = await asyncio.to_thread(request_statement, context, data)
    operator.require(here, statement, signature, cls.__name__)
    return await asyncio.to_thread(wire.decode, cls, data)
