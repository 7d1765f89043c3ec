"""Routes for epochs, issuer keys and tickets."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from pydantic import ConfigDict, StringConstraints

from covey_consent.access.roles import Caller, Role
from covey_consent.access.signed_messages import open_from_device
from covey_consent.api.authorization import needs
from covey_consent.api.http import RegistryDep, body, cbor
from covey_consent.api.rounds import Signature, require_operator
from covey_consent.api.schemas import ClosedModel
from covey_consent.errors import RequestError
from covey_consent.policy.epoch_calendar import LAST_EPOCH
from covey_consent.tickets import tickets
from covey_consent.tickets.issuers import parse_set, require_set
from covey_privacy.registry_messages import TICKETS, BlindSignatures, TicketRequest
from covey_privacy.tickets import to_count

router = APIRouter(tags=["tickets"])

Epoch = Annotated[int, Path(ge=0, le=LAST_EPOCH)]


class Ending(ClosedModel):
    """Why an epoch is ended before its time; it stands in the log."""

    reason: Annotated[str, StringConstraints(min_length=1, max_length=500, strip_whitespace=True)]


class EpochNow(ClosedModel):
    """The current epoch, in Unix seconds; phones fetch its tickets until `fetch_until`, rounds begin then."""

    model_config = ConfigDict(from_attributes=True)

    epoch: int
    begins_at: int
    fetch_until: int
    ends_at: int
    fetching: bool


class Issued(ClosedModel):
    """The batches issued for a set of purposes and an epoch, and the people who allow the set now."""

    batches: int
    granted: int


class Ended(ClosedModel):
    """An epoch that was ended, and where the log says so."""

    epoch: int
    index: int


@router.get("/v1/epoch")
async def epoch(registry: RegistryDep) -> EpochNow:
    """Return the current epoch, when its fetch window closes and when it ends (Unix seconds)."""
    return EpochNow.model_validate(registry.calendar)


@router.get("/v1/issuers/{epoch}/{purposes}")
async def issuer(epoch: Epoch, purposes: str, registry: RegistryDep) -> Response:
    """Return the `Issuer` of a purpose set (sorted, joined by "+") in the current epoch: all its keys."""
    held = await registry.issuers.demand(parse_set(purposes), epoch)
    return cbor(held.issuer)


@router.post("/v1/tickets")
async def issue(request: Request, registry: RegistryDep) -> Response:
    """Answer a signed `TicketRequest` with `BlindSignatures`."""
    asked = open_from_device(TicketRequest, TICKETS, await body(request))
    if not registry.calendar.agrees(asked.at):
        raise RequestError(f"the request is dated {registry.calendar.says(asked.at)}; set the clock")
    held = await registry.issuers.demand(asked.purposes, asked.epoch)
    standing = await registry.choices.find_of_device(asked.device)
    tickets.check(held.issuer.keys, asked, standing, registry.notices, registry.calendar.milliseconds)
    signatures = await asyncio.to_thread(held.signer.sign, asked.blinded)
    yearly = registry.settings.yearly_batches
    issued = await registry.store.write(tickets.book, asked, registry.notices, registry.calendar, yearly)
    return cbor(BlindSignatures(signatures, issued, tickets.most_in_a_year(registry.calendar, yearly)))


@router.post("/v1/epochs/{epoch}/end")
async def end(
    epoch: Epoch,
    why: Ending,
    registry: RegistryDep,
    _caller: Annotated[Caller, needs(Role.OFFICER, Role.ADMIN)],
) -> Ended:
    """End the epoch now, in an emergency: its tickets admit to no set any more, and none is issued."""
    registry.calendar.require_current(epoch)
    return Ended(epoch=epoch, index=await registry.issuers.end(epoch, why.reason))


@router.get("/v1/epochs/{epoch}/issued")
async def issued(epoch: Epoch, purposes: str, registry: RegistryDep, signature: Signature) -> Issued:
    """Count the batches issued for a set in the current epoch, and the people who allow the set now.

    The operator alone is told, who plans by it: exact counts that anyone could watch would show each person
    who withdraws. The header carries their signature over epoch and set.
    """
    wanted = parse_set(purposes)
    require_operator(registry, to_count(wanted, epoch), signature, "question")
    registry.calendar.require_current(epoch)
    require_set(wanted, registry.notices)
    now = registry.calendar.milliseconds
    return Issued(**await registry.store.read(tickets.counts, wanted, epoch, registry.notices, now))
