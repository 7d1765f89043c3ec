"""Tickets: one batch of blind signatures a device, purpose set and epoch, to whoever allows every purpose."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from covey_consent import decisions
from covey_consent.errors import ConflictError, RequestError
from covey_consent.issuers import Held, Purposes, name_of
from covey_consent.models import HOUR, Device, Issuance, StandingChoice
from covey_consent.purposes import find
from covey_privacy.consent import GRANTED, BlindSignatures, Notice, TicketRequest


async def issue(
    session: AsyncSession, held: Held, request: TicketRequest, current: Mapping[str, Notice], now: int
) -> BlindSignatures:
    """Book the device's batch in the caller's transaction and sign it; a failed signature books nothing.

    The same request again gets the same answer. `now` is in Unix seconds.
    """
    if len(request.blinded) != held.issuer.batch:
        raise RequestError(f"a batch is {held.issuer.batch} tickets; {len(request.blinded)} were asked for")
    await decisions.require_granted(session, request.device, request.purposes, current)
    await _book(session, request, now // HOUR)
    return await asyncio.to_thread(_sign, held, request)


async def issued(session: AsyncSession, purposes: Purposes, epoch: int) -> int:
    """Return how many batches were issued for the set and epoch."""
    query = select(func.count()).select_from(Issuance).filter_by(epoch=epoch, purposes=name_of(purposes))
    return await session.scalar(query) or 0


async def granted(session: AsyncSession, purposes: Purposes, current: Mapping[str, Notice]) -> int:
    """Return how many devices allow every purpose of the set under the notices in force."""
    query = select(Device.key)
    for name in purposes:
        if find(name).needs_consent:
            allowing = select(StandingChoice.device).filter_by(
                purpose=name, state=GRANTED, notice_version=current[name].version
            )
            query = query.where(Device.key.in_(allowing))
    return await session.scalar(select(func.count()).select_from(query.subquery())) or 0


async def _book(session: AsyncSession, request: TicketRequest, hour: int) -> None:
    digest = hashlib.sha256(b"".join(request.blinded)).digest()
    key = request.epoch, name_of(request.purposes), request.device
    booked = await session.get(Issuance, key)
    if booked is None:
        epoch, purposes, device = key
        session.add(Issuance(epoch=epoch, purposes=purposes, device=device, hour=hour, request=digest))
        await session.flush()
    elif booked.request != digest:
        raise ConflictError(
            f"this device has its batch for {name_of(request.purposes)} in epoch {request.epoch}; "
            "only the same request is answered again"
        )


def _sign(held: Held, request: TicketRequest) -> BlindSignatures:
    return BlindSignatures(tuple(held.signer.blind_sign(blinded) for blinded in request.blinded))
