"""Cross-border transfers: the purposes that take data abroad, and where that needs a consent of its own.

A person in China consents separately to transfers abroad (PIPL Art. 39). Without that consent, no purpose
that rests on consent and takes data abroad can be granted; when it ends, those grants end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from covey_consent.policy import purposes
from covey_consent.policy.controller import Controller, StatedRecipient
from covey_consent.policy.purposes import Purpose
from covey_consent.storage.models import StandingChoice, Subject
from covey_privacy.registry_messages import GRANTED, Notice

EEA = frozenset(
    {
        "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IS", "IT",
        "LI", "LT", "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK",
    }
)  # fmt: skip
"""The countries between which the GDPR sees no transfer (ISO 3166)."""

CONSENT = "cross_border"
"""The purpose that is this consent."""

ENDS = f"ends with {CONSENT}"
"""The method of the events that end grants with this consent."""

ASKING = frozenset({"CN"})
"""The countries whose law requires it."""

_LEAVES_THE_PHONE = ("sum", "shop")


def is_abroad(country: str, home: str) -> bool:
    """Return whether data that go from `home` to a country leave `home` and the EEA."""
    return country != home and not {country, home} <= EEA


def recipients(purpose: str, controller: Controller) -> tuple[StatedRecipient, ...]:
    """Return the recipients of data under a purpose; under `CONSENT`, all recipients abroad."""
    if purpose == CONSENT:
        return tuple(one for one in controller.recipients if one.country not in ASKING)
    return tuple(one for one in controller.recipients if purpose in one.purposes)


def stored_abroad(purpose: str, controller: Controller) -> tuple[str, ...]:
    """Return where data are stored abroad: seen from the controller, or under `CONSENT` from China."""
    stored, home = controller.storage_countries, controller.country
    if purpose == CONSENT:
        return tuple(country for country in stored if country not in ASKING)
    return tuple(country for country in stored if is_abroad(country, home))


class Transfers:
    """The transfers of a controller's storage and recipients; `notices` are the notices in force."""

    def __init__(self, controller: Controller, notices: Mapping[str, Notice]) -> None:
        self._notices = notices
        self._destinations = {
            country: {
                purpose.id: abroad
                for purpose in purposes.load().values()
                if (abroad := _destinations(purpose, controller, country))
            }
            for country in ASKING
        }

    def destinations(self, country: str) -> Mapping[str, tuple[str, ...]]:
        """Return the purposes that need this consent of people in the country, with their destinations."""
        return self._destinations.get(country, {})

    def agreed(self, state: str, version: int) -> bool:
        """Return whether a standing choice for `CONSENT` is a grant under the notice in force."""
        current = self._notices.get(CONSENT)
        return state == GRANTED and current is not None and current.version == version

    def stranded(self, session: Session, limit: int) -> Sequence[StandingChoice]:
        """Return some grants that take data abroad without the person's consent to the notice in force."""
        current = self._notices.get(CONSENT)
        agreed = select(StandingChoice.subject).filter_by(
            purpose=CONSENT, state=GRANTED, notice_version=current.version if current else None
        )
        going_abroad = (
            and_(Subject.country == country, StandingChoice.purpose.in_(abroad))
            for country, abroad in self._destinations.items()
        )
        query = select(StandingChoice).join(Subject, Subject.subject == StandingChoice.subject)
        query = query.where(StandingChoice.state == GRANTED, or_(*going_abroad))
        return session.scalars(query.where(StandingChoice.subject.not_in(agreed)).limit(limit)).all()


def _destinations(purpose: Purpose, controller: Controller, home: str) -> tuple[str, ...]:
    """Return the countries other than `home` that receive data of a purpose which rests on consent."""
    if not purpose.needs_consent or purpose.id == CONSENT:
        return ()
    stored = controller.storage_countries if purpose.storage in _LEAVES_THE_PHONE else ()
    reached = {*stored, *(one.country for one in recipients(purpose.id, controller))}
    return tuple(sorted(reached - {home}))
