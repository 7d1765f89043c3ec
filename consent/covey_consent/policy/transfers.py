"""Transfers: whose data leave their country under a purpose, and where that takes a consent of its own.

A person in China agrees separately that their data are provided abroad (PIPL Art. 39): until they did, no
purpose that rests on consent and takes data abroad can be granted, and with that consent those grants end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from covey_consent.policy import purposes
from covey_consent.policy.controller import Controller, Recipient
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
"""How the grants are said to end that it takes with it."""

ASKING = frozenset({"CN"})
"""The countries whose law asks for it."""

_LEAVES_THE_PHONE = ("sum", "shop")


def is_abroad(country: str, home: str) -> bool:
    """Say whether data that go from `home` to a country leave it, or the EEA."""
    return country != home and not {country, home} <= EEA


def recipients(purpose: str, controller: Controller) -> tuple[Recipient, ...]:
    """Return who receives data under a purpose; under `CONSENT`, whoever receives any abroad."""
    if purpose == CONSENT:
        return tuple(one for one in controller.recipients if one.country not in ASKING)
    return tuple(one for one in controller.recipients if purpose in one.purposes)


def stored_abroad(purpose: str, controller: Controller) -> tuple[str, ...]:
    """Return where data are stored abroad: seen from the controller, or under `CONSENT` from China."""
    stored, home = controller.storage_countries, controller.country
    if purpose == CONSENT:
        return tuple(country for country in stored if country not in ASKING)
    return tuple(country for country in stored if is_abroad(country, home))


@dataclass(frozen=True, slots=True)
class Transfers:
    """What a controller's storage and recipients mean for people by their country; `notices` are in force."""

    controller: Controller
    notices: Mapping[str, Notice]
    _found: dict[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)

    def of(self, country: str) -> Mapping[str, tuple[str, ...]]:
        """Return the purposes that take the consent of a person in this country, each with where data go."""
        if country not in ASKING:
            return {}
        if country not in self._found:
            taken = {one.id: self._destinations(one, country) for one in purposes.load().values()}
            self._found[country] = {purpose: abroad for purpose, abroad in taken.items() if abroad}
        return self._found[country]

    def agreed(self, state: str, version: int) -> bool:
        """Say whether a standing choice for `CONSENT` is a yes to the notice in force."""
        current = self.notices.get(CONSENT)
        return state == GRANTED and current is not None and current.version == version

    def stranded(self, session: Session, limit: int) -> Sequence[StandingChoice]:
        """Return some grants that take data abroad of people who have not agreed to that as it is asked."""
        current = self.notices.get(CONSENT)
        agreed = select(StandingChoice.subject).filter_by(
            purpose=CONSENT, state=GRANTED, notice_version=current.version if current else None
        )
        abroad = (
            and_(Subject.country == country, StandingChoice.purpose.in_(self.of(country)))
            for country in ASKING
        )
        query = select(StandingChoice).join(Subject, Subject.subject == StandingChoice.subject)
        query = query.where(StandingChoice.state == GRANTED, or_(*abroad))
        return session.scalars(query.where(StandingChoice.subject.not_in(agreed)).limit(limit)).all()

    def _destinations(self, purpose: Purpose, home: str) -> tuple[str, ...]:
        if not purpose.needs_consent or purpose.id == CONSENT:
            return ()
        stored = self.controller.storage_countries if purpose.storage in _LEAVES_THE_PHONE else ()
        reached = {*stored, *(one.country for one in recipients(purpose.id, self.controller))}
        return tuple(sorted(reached - {home}))
