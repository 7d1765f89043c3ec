"""Tickets: one batch of blind signatures for a person, purpose set and epoch, if every purpose is allowed.

A batch is one ticket under each issuer key of the set and epoch, of every role and slot. It is signed, then
booked, then sent: a failed signature books nothing, and nothing is sent unbooked. The same request again
gets the same answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from sqlalchemy import Select, bindparam, func, insert, select
from sqlalchemy.orm import Session

from covey_consent.decisions import standing_choices, states, subjects
from covey_consent.decisions.consent_event import EVERYTHING
from covey_consent.decisions.verdicts import Standings, require_granted
from covey_consent.errors import ConflictError, RequestError
from covey_consent.policy.epoch_calendar import Calendar
from covey_consent.policy.purposes import find
from covey_consent.storage.models import HOUR, Issuance, StandingChoice, Subject
from covey_consent.tickets import issuers
from covey_consent.tickets.issuers import Purposes, name_of
from covey_privacy.registry_messages import GRANTED, Notice, TicketRequest
from covey_privacy.tickets import IssuerKeys

YEAR_SECONDS = 365 * 86400

_BOOKED = select(Issuance.request).where(
    Issuance.epoch == bindparam("epoch"),
    Issuance.purposes == bindparam("purposes"),
    Issuance.subject == bindparam("subject"),
)


def check(
    keys: IssuerKeys, request: TicketRequest, standing: Standings, current: Mapping[str, Notice], now: int
) -> None:
    """Raise unless the request is for a whole batch, and the person's choices at `now` (ms) allow it."""
    if len(request.blinded) != keys.batch:
        raise RequestError(
            f"a batch is {keys.batch} tickets, one for each role and slot; "
            f"{len(request.blinded)} were asked for"
        )
    require_granted(standing, request.purposes, current, now)


def book(
    session: Session, request: TicketRequest, current: Mapping[str, Notice], calendar: Calendar, yearly: int
) -> int:
    """Book the batch of the device's person, who may have withdrawn their consent since.

    A second phone of theirs has no batch of its own. Return how many batches the person had for the set
    within a year, with this one. Raises ConflictError where the person has another one already, or had
    `yearly` batches within a year.
    """
    issuers.require_running(session, request.epoch)
    subject = subjects.people_of_devices(session, {request.device})[request.device]
    standing = standing_choices.fetch(session, subject)
    require_granted(standing, request.purposes, current, calendar.milliseconds)
    row = {"epoch": request.epoch, "purposes": name_of(request.purposes), "subject": subject}
    digest = hashlib.sha256(b"".join(request.blinded)).digest()
    booked = session.scalar(_BOOKED, row)
    batches = select(func.count()).select_from(Issuance).filter_by(subject=subject, purposes=row["purposes"])
    had = session.scalar(batches.where(Issuance.hour > (calendar.now - YEAR_SECONDS) // HOUR)) or 0
    if booked is None:
        if had >= yearly:
            raise ConflictError(
                f"this person had {yearly} batches for {name_of(request.purposes)} within a year, which is "
                "all; there are more when the oldest is a year old"
            )
        session.execute(insert(Issuance), row | {"hour": calendar.now // HOUR, "request": digest})
    elif booked != digest:
        raise ConflictError(
            f"this person has their batch for {name_of(request.purposes)} in epoch {request.epoch}; "
            "only the same request is answered again"
        )
    return had + (booked is None)


def most_in_a_year(calendar: Calendar, yearly: int) -> int:
    """Return the most batches of a set that one person can have within a year; `yearly` is the cap."""
    return min(yearly, YEAR_SECONDS // calendar.epoch_seconds + 1)


def counts(
    session: Session, purposes: Purposes, epoch: int, current: Mapping[str, Notice], now: int
) -> dict[str, int]:
    """Return the batches issued for set and epoch, and the people who allow the set now, at one moment."""
    return {
        "batches": issued(session, purposes, epoch),
        "granted": granted(session, purposes, current, now),
    }


def issued(session: Session, purposes: Purposes, epoch: int) -> int:
    """Return how many batches were issued for the set and epoch."""
    query = select(func.count()).select_from(Issuance).filter_by(epoch=epoch, purposes=name_of(purposes))
    return session.scalar(query) or 0


def granted(session: Session, purposes: Purposes, current: Mapping[str, Notice], now: int) -> int:
    """Return how many people allow every purpose of the set under the notices in force at `now` (ms)."""
    query = select(Subject.subject).where(Subject.subject.not_in(_people_with(EVERYTHING, states.RESTRICTED)))
    for name in purposes:
        if find(name).needs_consent:
            allowing = (
                _people_with(name, GRANTED)
                .filter_by(notice_version=current[name].version)
                .where((StandingChoice.expires_at == 0) | (StandingChoice.expires_at > now))
            )
            query = query.where(Subject.subject.in_(allowing))
        else:
            query = query.where(Subject.subject.not_in(_people_with(name, states.OBJECTED)))
    return session.scalar(select(func.count()).select_from(query.subquery())) or 0


def _people_with(purpose: str, state: str) -> Select[str]:
    return select(StandingChoice.subject).filter_by(purpose=purpose, state=state)
