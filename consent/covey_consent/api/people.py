"""What phones say about people: enrolments, decisions, sync."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request, Response

from covey_consent import decisions, subjects
from covey_consent.api.bodies import DECISIONS, ENROLMENTS
from covey_consent.api.http import Here, body, cbor
from covey_consent.errors import RequestError
from covey_consent.messages import open_batch, open_from_device
from covey_consent.verdicts import effective
from covey_privacy import wire
from covey_privacy.consent import DECISION, ENROLMENT, SYNC, Batch, Decision, Enrolment, Sync, Synced

router = APIRouter(tags=["people"])


@router.post("/v1/enrolments", status_code=204)
async def enrol(request: Request, here: Here) -> Response:
    """Take a `Batch` of signed `Enrolment`s, all or none."""
    batch = wire.decode(Batch, await body(request, ENROLMENTS))
    opened = await asyncio.to_thread(open_batch, Enrolment, ENROLMENT, batch)
    await here.store.write(here.subjects.enrol, opened)
    return Response(status_code=204)


@router.post("/v1/decisions", status_code=204)
async def take_decisions(request: Request, here: Here) -> Response:
    """Take a `Batch` of signed `Decision`s, all or none."""
    batch = wire.decode(Batch, await body(request, DECISIONS))
    opened = await asyncio.to_thread(open_batch, Decision, DECISION, batch)
    for decision in opened:
        decisions.check(decision, here.notices, here.calendar)
    people = await here.store.read(subjects.of_devices, {decision.device for decision in opened})
    await here.recorder.submit(decisions.of_devices(people, batch.signed, opened, here.notices))
    return Response(status_code=204)


@router.post("/v1/sync")
async def sync(request: Request, here: Here) -> Response:
    """Answer a signed `Sync` with `Synced`: the standing choices, and the log since the phone's last look."""
    asked = open_from_device(Sync, SYNC, await body(request))
    if not here.calendar.agrees(asked.at):
        raise RequestError(f"the request is dated {here.calendar.says(asked.at)}; set the clock")
    now = here.calendar.milliseconds
    standing = effective(await here.choices.of_device(asked.device), now)
    note, proof = here.log.since(asked.log_size)
    return cbor(Synced(now, standing, note, proof, here.notices.digest))
