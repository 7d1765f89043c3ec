"""Enrolment: a device makes itself known by the key that signs what it says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from covey_consent.epochs import Calendar
from covey_consent.errors import RequestError, UnknownError
from covey_consent.models import HOUR, Device
from covey_consent.store import all_in
from covey_privacy.consent import Enrolment


def enrol(session: Session, enrolments: Sequence[Enrolment], calendar: Calendar) -> None:
    """Make the devices known: all, or none where one cannot be taken. Again is no error."""
    for enrolment in enrolments:
        if not calendar.accepts(enrolment.at):
            raise RequestError(f"an enrolment is dated {calendar.says(enrolment.at)}; send it anew")
    keys = {enrolment.device for enrolment in enrolments}
    hour = calendar.now // HOUR
    session.add_all(Device(key=key, enrolled_hour=hour) for key in keys - known(session, keys))


def known(session: Session, keys: Iterable[bytes]) -> set[bytes]:
    """Return those of the keys that are enrolled."""
    return set(all_in(session, select(Device.key), Device.key, keys))


def require(session: Session, keys: set[bytes]) -> None:
    """Raise UnknownError unless all the keys are enrolled."""
    if missing := keys - known(session, keys):
        raise not_enrolled(min(missing))


def not_enrolled(device: bytes) -> UnknownError:
    """Return the error for a device that nobody enrolled."""
    return UnknownError(f"device {device.hex()[:16]}... is not enrolled; enrol it first")
