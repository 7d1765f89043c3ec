"""What phones say about people: enrolments, decisions, sync."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request, Response

from covey_consent.access.authorization import CALLER
from covey_consent.access.roles import Caller, Role
from covey_consent.access.signed_messages import open_batch, open_from_device
from covey_consent.api.bodies import DECISIONS, ENROLMENTS
from covey_consent.api.http import Here, body, cbor
from covey_consent.api.rates import count_enrolments, count_messages
from covey_consent.decisions import grants, subjects
from covey_consent.decisions.verdicts import effective
from covey_consent.errors import DeniedError, RequestError
from covey_consent.registry import Registry
from covey_privacy import wire
from covey_privacy.registry_messages import (
    DECISION,
    ENROLMENT,
    SYNC,
    Batch,
    Decision,
    Enrolment,
    Sync,
    Synced,
)

router = APIRouter(tags=["people"])


@router.post("/v1/enrolments", status_code=204)
async def enrol(request: Request, here: Here) -> Response:
    """Take a `Batch` of signed `Enrolment`s, all or none.

    With a person's access token the devices are that person's; with the shop's (role service), or without one
    where enrolment is open to all, each new device is a person of its own.
    """
    caller = await _enrolling(here, request)
    batch = wire.decode(Batch, await body(request, ENROLMENTS))
    if caller is None:
        count_enrolments(request, len(batch.signed))
    count_messages(request, len(batch.signed))
    opened = await asyncio.to_thread(open_batch, Enrolment, ENROLMENT, batch)
    subject = caller.subject if caller is not None and caller.role is Role.SUBJECT else None
    await here.store.write(here.subjects.enrol, opened, subject)
    return Response(status_code=204)


@router.post("/v1/decisions", status_code=204)
async def take_decisions(request: Request, here: Here) -> Response:
    """Take a `Batch` of signed `Decision`s, all or none."""
    batch = wire.decode(Batch, await body(request, DECISIONS))
    count_messages(request, len(batch.signed))
    opened = await asyncio.to_thread(open_batch, Decision, DECISION, batch)
    for decision in opened:
        grants.check_decision(decision, here.notices, here.calendar)
    people = await here.store.read(subjects.people_of_devices, {decision.device for decision in opened})
    await here.recorder.submit(grants.events_of_devices(people, batch.signed, opened, here.notices))
    return Response(status_code=204)


@router.post("/v1/sync")
async def sync(request: Request, here: Here) -> Response:
    """Answer a signed `Sync` with `Synced`: the standing choices, and the log since the phone's last look."""
    asked = open_from_device(Sync, SYNC, await body(request))
    if not here.calendar.agrees(asked.at):
        raise RequestError(f"the request is dated {here.calendar.says(asked.at)}; set the clock")
    now = here.calendar.milliseconds
    standing = effective(await here.choices.find_of_device(asked.device), now)
    # A phone that asks for witnesses refuses a head that they have not cosigned yet.
    settled = await here.cosigners.settle()
    note, proof = here.log.since(asked.log_size, settled)
    return cbor(Synced(now, standing, note, proof, here.notices.digest))


async def _enrolling(here: Registry, request: Request) -> Caller | None:
    """Return who enrols devices by an access token, None for whoever needs none and sends none.

    Raises UnauthenticatedError where one is needed and missing, DeniedError for a role that enrols nobody.
    """
    if "authorization" not in request.headers and not here.settings.enrolment_needs_token:
        return None
    caller = await here.gate.caller(request, here.calendar.now)
    if caller.role not in (Role.SUBJECT, Role.SERVICE) or (
        caller.role is Role.SUBJECT and not caller.subject
    ):
        raise DeniedError(
            f"devices are enrolled with a person's access token or the shop's; this one has {caller.role}"
        )
    request.scope[CALLER] = None, caller
    return caller
