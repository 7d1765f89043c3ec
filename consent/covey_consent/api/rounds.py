"""Routes for rounds.

Phones show a ticket and name no device. The operator signs manifest and evidence, and each other request in
the header `Covey-Signature`. Answers hold what the registry signed and its place in the log, under a note
that the witnesses cosigned.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, TypeVar

from fastapi import APIRouter, Header, Path, Request, Response

from covey_consent.access.signed_messages import open_from, require_signature
from covey_consent.api.http import FOR_EVER, RegistryDep, body, cbor
from covey_consent.api.media import CBOR, SET_REQUEST
from covey_consent.errors import DeniedError, RequestError
from covey_consent.registry import Registry
from covey_consent.rounds.evidence import log_evidence
from covey_consent.rounds.manifests import log_manifest
from covey_consent.rounds.signed_sets import find_leaves
from covey_consent.rounds.state import read_entries
from covey_privacy import evidence, manifest, wire
from covey_privacy.evidence import Evidence
from covey_privacy.fixed_records import layout
from covey_privacy.manifest import Manifest
from covey_privacy.registry_messages import LogIndex
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

Signature = Annotated[str, Header(alias="Covey-Signature", pattern="^[0-9a-f]{128}$")]
"""The operator's signature, in hex."""

COMMITTEE_FILE = 2**20
"""Bytes of a committee file with its framing, at most: 600 decryptors of 420 bytes, and nine seats."""


def operator_key(registry: Registry) -> bytes:
    """Return the operator's public key. Raises DeniedError where none is configured."""
    if registry.operator is None:
        raise DeniedError("no operator key is configured (COVEY_REGISTRY_OPERATOR): every round is refused")
    return registry.operator


def require_operator(registry: Registry, message: bytes, signature: str, what: str) -> None:
    """Raise DeniedError unless the operator signed the message."""
    require_signature(operator_key(registry), message, bytes.fromhex(signature), what)


@router.post("/v1/rounds")
async def announce(request: Request, registry: RegistryDep) -> Response:
    """Log a signed `Manifest`; answers `LogIndex`, its head cosigned for the phones that are asked next."""
    key = operator_key(registry)
    signed = await body(request)
    opened = open_from(key, Manifest, manifest.CONTEXT, signed)
    index = await registry.log.write(
        log_manifest,
        registry.log,
        signed,
        opened,
        registry.notices,
        registry.calendar,
        registry.key.public,
    )
    await registry.cosigners.settle()
    return cbor(LogIndex(index))


@router.post("/v1/rounds/{round_id}/evidence")
async def conclude(round_id: str, request: Request, registry: RegistryDep) -> Response:
    """Log a round's signed `Evidence`; answers `LogIndex`."""
    key = operator_key(registry)
    signed = await body(request)
    opened = open_from(key, Evidence, evidence.CONTEXT, signed)
    if round_id != opened.round_id:
        raise RequestError(f"the address names round {round_id!r} and the message {opened.round_id!r}")
    return cbor(LogIndex(await registry.log.write(log_evidence, registry.log, signed, opened)))


@router.get("/v1/rounds/{round_id}")
async def read_round(round_id: str, registry: RegistryDep) -> Response:
    """Return the `RoundEntries`: a round's signed manifest, and all that the registry signed in it."""
    return cbor(await registry.store.read(read_entries, round_id))


@router.post("/v1/rounds/{round_id}/volunteers", status_code=204)
async def volunteer(round_id: str, request: Request, registry: RegistryDep) -> None:
    """Take a phone's `VolunteerOffer` to be a decryptor, until the manifest's `volunteer` window closes."""
    await registry.round_notary.volunteer(round_id, await body(request))


@router.post("/v1/rounds/{round_id}/retractions", status_code=204)
async def retract(round_id: str, request: Request, registry: RegistryDep) -> None:
    """Keep the round key of a `Retraction` out of the round. 409 where the included set holds it."""
    await registry.round_notary.retract(round_id, await body(request))


@router.post("/v1/rounds/{round_id}/roster")
async def sign_roster(
    round_id: str, request: Request, registry: RegistryDep, signature: Signature
) -> Response:
    """Sign the roster of all volunteers as a `RosterRequest` asks; answers `LoggedHead`.

    The header carries the operator's signature over the body's SHA-256 in hex; so for the next four.
    """
    asked = await _signed(request, registry, signature, RosterRequest, ROSTER_REQUEST)
    return cbor(await registry.round_notary.roster(round_id, asked))


@router.post("/v1/rounds/{round_id}/draw")
async def draw(round_id: str, request: Request, registry: RegistryDep, signature: Signature) -> Response:
    """Draw the committee by the nonce in a `DrawRequest`; answers `DrawAnswer`."""
    asked = await _signed(request, registry, signature, DrawRequest, DRAW_REQUEST)
    return cbor(await registry.round_notary.draw(round_id, asked))


@router.post("/v1/rounds/{round_id}/included")
async def include(round_id: str, request: Request, registry: RegistryDep, signature: Signature) -> Response:
    """Sign the included set of an `InclusionRequest`; answers `InclusionAnswer`.

    Where members cannot take part, the answer names each with the rule that it broke, and nothing is signed.
    """
    opened = await registry.round_notary.find(round_id)
    limit = min(SET_REQUEST, COMMITTEE_FILE + opened.info.terms.most * layout(Entry).size)
    asked = await _signed(request, registry, signature, InclusionRequest, INCLUSION_REQUEST, limit)
    return cbor(await registry.round_notary.include(round_id, asked))


@router.post("/v1/rounds/{round_id}/disputes")
async def grant_dispute(
    round_id: str, request: Request, registry: RegistryDep, signature: Signature
) -> Response:
    """Grant one decryptor to show the point that it shares with a member; answers `LoggedHead`.

    Takes a `GrantRequest`. A member is disputed by one decryptor alone.
    """
    asked = await _signed(request, registry, signature, GrantRequest, GRANT_REQUEST)
    return cbor(await registry.round_notary.dispute(round_id, asked))


@router.post("/v1/rounds/{round_id}/final")
async def finalise(round_id: str, request: Request, registry: RegistryDep, signature: Signature) -> Response:
    """Sign the final set of an `ExclusionRequest`; answers `LoggedHead`."""
    asked = await _signed(request, registry, signature, ExclusionRequest, EXCLUSION_REQUEST)
    return cbor(await registry.round_notary.final(round_id, asked))


@router.get("/v1/sets/{root}")
async def read_set(
    root: Annotated[str, Path(pattern="^[0-9a-f]{64}$")], request: Request, registry: RegistryDep
) -> Response:
    """Return the `SetLeaves` of a signed included or final set by its Merkle root, sorted by round key."""
    leaves = await registry.store.read(find_leaves, bytes.fromhex(root))
    headers = {**FOR_EVER, "ETag": f'"{root}"'}
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(await asyncio.to_thread(wire.encode, leaves), media_type=CBOR, headers=headers)


async def _signed(
    request: Request, registry: Registry, signature: str, cls: type[T], context: str, limit: int | None = None
) -> T:
    """Return the request's message, which the operator signed."""
    operator_key(registry)
    data = await body(request, limit)
    statement = await asyncio.to_thread(request_statement, context, data)
    require_operator(registry, statement, signature, cls.__name__)
    return await asyncio.to_thread(wire.decode, cls, data)
