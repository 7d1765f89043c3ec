"""Issuer keys, tickets and epochs."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from covey_consent.access.authorization import needs
from covey_consent.access.roles import Caller, Role
from covey_consent.access.signed_messages import open_from_device
from covey_consent.api import operator
from covey_consent.api.http import Here, body, cbor
from covey_consent.api.operator import Signature
from covey_consent.api.schemas import Ended, Ending, EpochNow, Issued
from covey_consent.errors import RequestError
from covey_consent.tickets import tickets
from covey_consent.tickets.epoch_calendar import LAST_EPOCH
from covey_consent.tickets.issuers import parse_set, require_set
from covey_privacy.registry_messages import TICKETS, BlindSignatures, TicketRequest
from covey_privacy.tickets import to_count

router = APIRouter(tags=["tickets"])

Epoch = Annotated[int, Path(ge=0, le=LAST_EPOCH)]


@router.get("/v1/epoch")
async def epoch(here: Here) -> EpochNow:
    """Return the current epoch, when its fetch window closes and when it ends (Unix seconds)."""
    calendar = here.calendar
    return EpochNow(
        epoch=calendar.epoch,
        begins_at=calendar.begins_at,
        fetch_until=calendar.fetch_until,
        ends_at=calendar.ends_at,
        fetching=calendar.fetching,
    )


@router.get("/v1/issuers/{epoch}/{purposes}")
async def issuer(epoch: Epoch, purposes: str, here: Here) -> Response:
    """Return the `Issuer` of a purpose set (sorted, joined by "+") in the current epoch: all its keys."""
    held = await here.issuers.demand(parse_set(purposes), epoch)
    return cbor(held.issuer)


@router.post("/v1/tickets")
async def issue(request: Request, here: Here) -> Response:
    """Answer a signed `TicketRequest` with `BlindSignatures`."""
    asked = open_from_device(TicketRequest, TICKETS, await body(request))
    if not here.calendar.agrees(asked.at):
        raise RequestError(f"the request is dated {here.calendar.says(asked.at)}; set the clock")
    held = await here.issuers.demand(asked.purposes, asked.epoch)
    standing = await here.choices.find_of_device(asked.device)
    tickets.check(held.issuer.keys, asked, standing, here.notices, here.calendar.milliseconds)
    signatures = await asyncio.to_thread(held.signer.sign, asked.blinded)
    yearly = here.settings.yearly_batches
    issued = await here.store.write(tickets.book, asked, here.notices, here.calendar, yearly)
    return cbor(BlindSignatures(signatures, issued, tickets.most_in_a_year(here.calendar, yearly)))


@router.post("/v1/epochs/{epoch}/end")
async def end(
    epoch: Epoch, why: Ending, here: Here, _caller: Annotated[Caller, needs(Role.OFFICER, Role.ADMIN)]
) -> Ended:
    """End the epoch now, in an emergency: its tickets admit to no set any more, and none is issued."""
    here.calendar.require_current(epoch)
    return Ended(epoch=epoch, index=await here.issuers.end(epoch, why.reason))


@router.get("/v1/epochs/{epoch}/issued")
async def issued(epoch: Epoch, purposes: str, here: Here, signature: Signature) -> Issued:
    """Count the batches issued for a set in the current epoch, and the people who allow the set now.

    The operator alone is told, who plans by it: exact counts that anyone could watch would show each person
    who withdraws. The header carries their signature over epoch and set.
    """
    wanted = parse_set(purposes)
    operator.require(here, to_count(wanted, epoch), signature, "question")
    here.calendar.require_current(epoch)
    require_set(wanted, here.notices)
    now = here.calendar.milliseconds
    return Issued(**await here.store.read(tickets.counts, wanted, epoch, here.notices, now))
