"""What the operator brings: manifests, rosters, evidence."""

from __future__ import annotations

import asyncio
import hashlib

from fastapi import APIRouter, Request, Response

from covey_consent import rounds
from covey_consent.api import one_message, operator
from covey_consent.api.http import ROSTER, Here, body, cbor
from covey_consent.api.operator import Signature
from covey_consent.errors import RequestError
from covey_consent.messages import open_from
from covey_privacy import evidence, manifest, wire
from covey_privacy.evidence import Evidence
from covey_privacy.five_phases.roster import ROUND_ROSTER, Logged, Roster
from covey_privacy.manifest import Manifest
from covey_privacy.signatures import to_sign

router = APIRouter(tags=["rounds"])


@router.post("/v1/rounds")
async def announce(request: Request, here: Here) -> Response:
    """Log a signed `Manifest`; answers `Logged`, its head cosigned for the phones that are asked next."""
    key = operator.key(here)
    signed = await body(request)
    opened = open_from(key, Manifest, manifest.CONTEXT, signed)
    index = await here.log.write(
        rounds.announce, here.log, signed, opened, here.notices, here.calendar, here.key.public
    )
    await here.cosigners.settle()
    return cbor(Logged(index))


@router.post("/v1/rounds/{round_id}/roster")
async def countersign(round_id: str, request: Request, here: Here, signature: Signature) -> Response:
    """Check and countersign a `Roster`; answers `Countersigned`.

    In a round in one message, sign the roster of all volunteers as a `RosterRequest` asks; answers
    `LoggedHead`. The header carries the operator's signature over the body's SHA-256 in hex.
    """
    operator.key(here)
    if (await here.store.read(rounds.find_manifest, round_id)).terms is not None:
        return await one_message.roster(round_id, request, here, signature)
    terms, issuer = await here.store.read(rounds.find, round_id)
    data = await body(request, min(ROSTER, rounds.roster_bytes(terms)))
    message = to_sign(ROUND_ROSTER, hashlib.sha256(data).digest())
    operator.require(here, message, signature, "roster")
    roster = await asyncio.to_thread(wire.decode, Roster, data)
    _require_round(round_id, roster.round_id)
    frozen = await asyncio.to_thread(rounds.freeze, roster, issuer)
    answer = await here.log.write(rounds.countersign, here.log, here.key, frozen, here.calendar)
    return cbor(answer)


@router.post("/v1/rounds/{round_id}/evidence")
async def conclude(round_id: str, request: Request, here: Here) -> Response:
    """Log a round's signed `Evidence`; answers `Logged`."""
    key = operator.key(here)
    signed = await body(request)
    opened = open_from(key, Evidence, evidence.CONTEXT, signed)
    _require_round(round_id, opened.round_id)
    index = await here.log.write(rounds.conclude, here.log, signed, opened)
    return cbor(Logged(index))


def _require_round(asked: str, named: str) -> None:
    if asked != named:
        raise RequestError(f"the address names round {asked!r} and the message {named!r}")
