"""Subjects: the people whose consent is kept, each with the devices that sign for them.

A device that was not attached to a person before becomes a person of its own.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from covey_consent.errors import ConflictError, DeniedError, RequestError, UnknownError
from covey_consent.policy import ages
from covey_consent.policy.epoch_calendar import Calendar
from covey_consent.storage.models import HOUR, DetachedDevice, Device, Subject, SubjectKey
from covey_consent.storage.store import select_in
from covey_consent.storage.vault import Vault
from covey_privacy.registry_messages import Enrolment

PSEUDONYM_LENGTH = 16


class Subjects:
    """Enrols people and devices. Without `open_to_all`, a device has to be attached to a person before."""

    def __init__(self, vault: Vault, calendar: Calendar, *, open_to_all: bool) -> None:
        self._vault, self._calendar, self._open = vault, calendar, open_to_all

    def enrol(self, session: Session, enrolments: Sequence[Enrolment], subject: str | None = None) -> None:
        """Enrol the devices, all or none. Idempotent.

        The devices are the `subject`'s where one is given; otherwise each new one is a person of its own.
        """
        for enrolment in enrolments:
            if not self._calendar.accepts(enrolment.at):
                raise RequestError(f"an enrolment is dated {self._calendar.says(enrolment.at)}; send it anew")
        keys = {enrolment.device for enrolment in enrolments}
        if subject is not None:
            for key in sorted(keys):
                # A detached device is not attached again by an enrolment.
                if session.get(DetachedDevice, key) is not None:
                    raise _detached(key)
                self.attach(session, subject, key)
        else:
            known = select_in(session, select(Device.key), Device.key, keys)
            if strangers := sorted(keys.difference(known)):
                self._admit(session, strangers)

    def create(
        self, session: Session, country: str = "", birth_year: int | None = None, guardian: str | None = None
    ) -> str:
        """Add a person without a device; return their pseudonym. Raises UnknownError for the guardian."""
        if guardian is not None:
            require_guardian(find(session, guardian), country, birth_year, self._calendar.year)
        subject = secrets.token_hex(PSEUDONYM_LENGTH)
        self.adopt(session, subject, country, birth_year, guardian)
        return subject

    def create_many(self, session: Session, count: int) -> list[str]:
        """Add this many people without attributes; return their pseudonyms."""
        subjects = [secrets.token_hex(PSEUDONYM_LENGTH) for _ in range(count)]
        self._insert(session, subjects)
        return subjects

    def adopt(
        self, session: Session, subject: str, country: str, birth_year: int | None, guardian: str | None
    ) -> None:
        """Add a person under the pseudonym that they have at another registry."""
        self._insert(session, [subject], country, birth_year, guardian)

    def attach(self, session: Session, subject: str, key: bytes) -> None:
        """Attach the device to this person. Raises ConflictError where it is another person's."""
        find(session, subject)
        device, detached = session.get(Device, key), session.get(DetachedDevice, key)
        owner = device or detached
        if owner is not None and owner.subject != subject:
            raise ConflictError("this device is another person's; reset it, and attach its new key")
        if detached is not None:
            session.delete(detached)
        if device is None:
            session.add(Device(key=key, subject=subject, enrolled_hour=self._hour))

    def detach(self, session: Session, subject: str, key: bytes) -> None:
        """Detach the device from its person. Raises UnknownError where it is not attached to them."""
        device = session.get(Device, key)
        if device is None or device.subject != subject:
            raise not_enrolled(key)
        session.delete(device)
        session.add(DetachedDevice(key=key, subject=subject, detached_hour=self._hour))

    @property
    def _hour(self) -> int:
        return self._calendar.now // HOUR

    def _admit(self, session: Session, keys: Sequence[bytes]) -> None:
        if lost := select_in(session, select(DetachedDevice.key), DetachedDevice.key, keys):
            raise _detached(lost[0])
        if not self._open:
            raise DeniedError(
                f"device {keys[0].hex()[:16]}... belongs to nobody yet; the shop's server attaches it first"
            )
        subjects = self.create_many(session, len(keys))
        rows = [
            {"key": key, "subject": subject, "enrolled_hour": self._hour}
            for key, subject in zip(keys, subjects, strict=True)
        ]
        session.execute(insert(Device), rows)

    def _insert(
        self,
        session: Session,
        subjects: Sequence[str],
        country: str = "",
        birth_year: int | None = None,
        guardian: str | None = None,
    ) -> None:
        row = {"country": country, "birth_year": birth_year, "guardian": guardian}
        row |= {"enrolled_hour": self._hour}
        session.execute(insert(Subject), [{"subject": subject, **row} for subject in subjects])
        wrapped = [{"subject": subject, "wrapped": self._vault.make(subject)} for subject in subjects]
        session.execute(insert(SubjectKey), wrapped)


def find(session: Session, subject: str) -> Subject:
    """Return the person. Raises UnknownError."""
    found = session.get(Subject, subject)
    if found is None:
        raise unknown_person()
    return found


def answers_for(session: Session, asking: str | None, subject: str, year: int) -> bool:
    """Return whether a person may act for another in `year`: for themselves, or as a child's guardian."""
    return asking is not None and (asking == subject or is_guardian(session, asking, subject, year))


def is_guardian(session: Session, guardian: str, subject: str, year: int) -> bool:
    """Return whether one person is another's guardian in `year`: of age themselves, and the other a child."""
    return subject in wards(session, guardian, year)


def wards(session: Session, guardian: str, year: int) -> set[str]:
    """Return the children whose guardian a person is in `year`; of age, they no longer have one."""
    person = session.get(Subject, guardian)
    if person is None or _is_child(person, year):
        return set()
    linked = session.scalars(select(Subject).filter_by(guardian=guardian))
    return {ward.subject for ward in linked if _is_child(ward, year)}


def require_guardian(guardian: Subject, country: str, birth_year: int | None, year: int) -> None:
    """Raise RequestError unless this person may be the guardian of one of this country and birth year."""
    if _is_child(guardian, year):
        raise RequestError("a guardian is not a child themselves; link a person of age")
    if not ages.is_child(birth_year, country, year):
        raise RequestError("a guardian is for a child: give the birth year of one, or leave the guardian out")


def people_of_devices(session: Session, keys: set[bytes]) -> Mapping[bytes, str]:
    """Return each device's person. Raises UnknownError unless all are enrolled."""
    found = {row.key: row.subject for row in select_in(session, select(Device), Device.key, keys)}
    if missing := keys - found.keys():
        raise not_enrolled(min(missing))
    return found


def _detached(key: bytes) -> DeniedError:
    return DeniedError(
        f"device {key.hex()[:16]}... was detached from its person; reset it, enrol its new key"
    )


def _is_child(person: Subject, year: int) -> bool:
    return ages.is_child(person.birth_year, person.country, year)


def unknown_person() -> UnknownError:
    """Return the error for an unknown person."""
    return UnknownError("there is no such subject here, or they were erased")


def not_enrolled(device: bytes) -> UnknownError:
    """Return the error for a device that is not enrolled."""
    return UnknownError(f"device {device.hex()[:16]}... is not enrolled; enrol it first")
