"""How a round begins and ends: its manifest and its evidence, which the operator brings."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from covey_consent.access.signed_messages import open_from
from covey_consent.api import operator
from covey_consent.api.http import Here, body, cbor
from covey_consent.errors import RequestError
from covey_consent.rounds.evidence import log_evidence
from covey_consent.rounds.manifests import log_manifest
from covey_privacy import evidence, manifest
from covey_privacy.evidence import Evidence
from covey_privacy.manifest import Manifest
from covey_privacy.registry_messages import LogIndex

router = APIRouter(tags=["rounds"])


@router.post("/v1/rounds")
async def announce(request: Request, here: Here) -> Response:
    """Log a signed `Manifest`; answers `LogIndex`, its head cosigned for the phones that are asked next."""
    key = operator.key(here)
    signed = await body(request)
    opened = open_from(key, Manifest, manifest.CONTEXT, signed)
    index = await here.log.write(
        log_manifest, here.log, signed, opened, here.notices, here.calendar, here.key.public
    )
    await here.cosigners.settle()
    return cbor(LogIndex(index))


@router.post("/v1/rounds/{round_id}/evidence")
async def conclude(round_id: str, request: Request, here: Here) -> Response:
    """Log a round's signed `Evidence`; answers `LogIndex`."""
    key = operator.key(here)
    signed = await body(request)
    opened = open_from(key, Evidence, evidence.CONTEXT, signed)
    _require_round(round_id, opened.round_id)
    index = await here.log.write(log_evidence, here.log, signed, opened)
    return cbor(LogIndex(index))


def _require_round(asked: str, named: str) -> None:
    if asked != named:
        raise RequestError(f"the address names round {asked!r} and the message {named!r}")
