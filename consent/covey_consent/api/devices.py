"""Routes for devices' signed messages: enrolments, decisions, sync."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request, Response

from covey_consent.access.roles import Caller, Role
from covey_consent.access.signed_messages import open_batch, open_from_device
from covey_consent.api.authorization import CALLER
from covey_consent.api.http import RegistryDep, body, cbor
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
async def enrol(request: Request, registry: RegistryDep) -> Response:
    """Take a `Batch` of signed `Enrolment`s, all or none.

    With a person's access token the devices are that person's; with the shop's (role service), or without one
    where enrolment is open to all, each new device is a person of its own.
    """
    caller = await _enrolling(registry, request)
    batch = wire.decode(Batch, await body(request))
    if caller is None:
        count_enrolments(request, len(batch.signed))
    count_messages(request, len(batch.signed))
    opened = await asyncio.to_thread(open_batch, Enrolment, ENROLMENT, batch)
    subject = caller.subject if caller is not None and caller.role is Role.SUBJECT else None
    await registry.store.write(registry.subjects.enrol, opened, subject)
    return Response(status_code=204)


@router.post("/v1/decisions", status_code=204)
async def take_decisions(request: Request, registry: RegistryDep) -> Response:
    """Take a `Batch` of signed `Decision`s, all or none."""
    batch = wire.decode(Batch, await body(request))
    count_messages(request, len(batch.signed))
    opened = await asyncio.to_thread(open_batch, Decision, DECISION, batch)
    for decision in opened:
        grants.check_decision(decision, registry.notices, registry.calendar)
    people = await registry.store.read(subjects.people_of_devices, {decision.device for decision in opened})
    await registry.recorder.submit(grants.events_of_devices(people, batch.signed, opened, registry.notices))
    return Response(status_code=204)


@router.post("/v1/sync")
async def sync(request: Request, registry: RegistryDep) -> Response:
    """Answer a signed `Sync` with `Synced`: the standing choices, and the log since the phone's last look."""
    asked = open_from_device(Sync, SYNC, await body(request))
    if not registry.calendar.agrees(asked.at):
        raise RequestError(f"the request is dated {registry.calendar.says(asked.at)}; set the clock")
    now = registry.calendar.milliseconds
    standing = effective(await registry.choices.find_of_device(asked.device), now)
    # A phone that asks for witnesses refuses a head that they have not cosigned yet.
    settled = await registry.cosigners.settle()
    note, proof = registry.log.since(asked.log_size, settled)
    return cbor(Synced(now, standing, note, proof, registry.notices.digest))


async def _enrolling(registry: Registry, request: Request) -> Caller | None:
    """Return the caller who enrols devices, None where no access token is needed and none was sent.

    Raises UnauthenticatedError where one is needed and missing, DeniedError for a role that enrols nobody.
    """
    if "authorization" not in request.headers and not registry.settings.enrolment_needs_token:
        return None
    caller = await registry.authenticator.caller(request, registry.calendar.now)
    person = caller.role is Role.SUBJECT and caller.subject
    if not person and caller.role is not Role.SERVICE:
        raise DeniedError(
            f"devices are enrolled with a person's access token or the shop's; this one has {caller.role}"
        )
    request.scope[CALLER] = None, caller
    return caller
