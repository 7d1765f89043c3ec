"""Tickets: one batch of blind signatures a device, purpose set and epoch, to whoever allows every purpose.

A batch is signed, then booked, then given out: a failed signature books nothing, and none leaves unbooked.
The same request again gets the same answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from sqlalchemy import bindparam, func, insert, select
from sqlalchemy.orm import Session

from covey_consent import decisions
from covey_consent.errors import ConflictError, RequestError
from covey_consent.issuers import Held, Purposes, name_of
from covey_consent.models import HOUR, Device, Issuance, StandingChoice
from covey_consent.purposes import find
from covey_privacy.consent import GRANTED, BlindSignatures, Choice, Notice, TicketRequest

_BOOKED = select(Issuance.request).where(
    Issuance.epoch == bindparam("epoch"),
    Issuance.purposes == bindparam("purposes"),
    Issuance.device == bindparam("device"),
)


def check(
    held: Held, request: TicketRequest, standing: Iterable[Choice], current: Mapping[str, Notice]
) -> None:
    """Raise unless the request is for a whole batch, and the device's standing choices allow it."""
    if len(request.blinded) != held.issuer.batch:
        raise RequestError(f"a batch is {held.issuer.batch} tickets; {len(request.blinded)} were asked for")
    decisions.require_granted(standing, request.purposes, current)


def sign(held: Held, request: TicketRequest) -> BlindSignatures:
    """Sign the batch. This takes milliseconds: run it in a thread. Raises PeerError."""
    return BlindSignatures(tuple(held.signer.blind_sign(blinded) for blinded in request.blinded))


def book(session: Session, request: TicketRequest, current: Mapping[str, Notice], now: int) -> None:
    """Book the device's batch, to which it may have withdrawn its consent since; `now` in Unix seconds.

    Raises ConflictError where it has another one already.
    """
    decisions.require_granted(decisions.choices(session, request.device), request.purposes, current)
    row = {"epoch": request.epoch, "purposes": name_of(request.purposes), "device": request.device}
    digest = hashlib.sha256(b"".join(request.blinded)).digest()
    booked = session.scalar(_BOOKED, row)
    if booked is None:
        session.execute(insert(Issuance), row | {"hour": now // HOUR, "request": digest})
    elif booked != digest:
        raise ConflictError(
            f"this device has its batch for {name_of(request.purposes)} in epoch {request.epoch}; "
            "only the same request is answered again"
        )


def counts(session: Session, purposes: Purposes, epoch: int, current: Mapping[str, Notice]) -> dict[str, int]:
    """Return the batches issued for the set and epoch, and the devices that allow the set, at one moment."""
    return {
        "batches": issued(session, purposes, epoch),
        "granted": granted(session, purposes, current),
    }


def issued(session: Session, purposes: Purposes, epoch: int) -> int:
    """Return how many batches were issued for the set and epoch."""
    query = select(func.count()).select_from(Issuance).filter_by(epoch=epoch, purposes=name_of(purposes))
    return session.scalar(query) or 0


def granted(session: Session, purposes: Purposes, current: Mapping[str, Notice]) -> int:
    """Return how many devices allow every purpose of the set under the notices in force."""
    query = select(Device.key)
    for name in purposes:
        if find(name).needs_consent:
            allowing = select(StandingChoice.device).filter_by(
                purpose=name, state=GRANTED, notice_version=current[name].version
            )
            query = query.where(Device.key.in_(allowing))
    return session.scalar(select(func.count()).select_from(query.subquery())) or 0
