"""The rights desk, put together."""

from __future__ import annotations

from dataclasses import dataclass

from covey_consent.decisions.standing_choices import StandingChoices
from covey_consent.policy.controller import Controller
from covey_consent.recipients.outbox import Outbox
from covey_consent.rights.certificate import Certifier
from covey_consent.rights.effects import effects
from covey_consent.rights.erasure import Erasure
from covey_consent.rights.export import Exporter
from covey_consent.rights.periods import Period
from covey_consent.rights.rectification import Rectification
from covey_consent.rights.requests import Desk
from covey_consent.rights.restrictions import Restrictions
from covey_consent.rights.vacuum import Sweeper
from covey_consent.settings import Settings
from covey_consent.storage.store import Store
from covey_consent.tickets.epoch_calendar import Calendar
from covey_privacy.signatures import SigningKey

LOOK_SECONDS = 1.0
SWEEP_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Rights:
    """What answers people's requests."""

    desk: Desk
    restrictions: Restrictions
    exporter: Exporter
    rectification: Rectification
    certifier: Certifier
    sweeper: Sweeper

    @classmethod
    def of(
        cls, settings: Settings, key: SigningKey, calendar: Calendar, store: Store, choices: StandingChoices,
        outbox: Outbox, controller: Controller,
    ) -> Rights:  # fmt: skip
        """Return the desk of the registry with these parts."""
        certifier = Certifier(key, settings.origin, calendar, settings.caps, settings.backup_days)
        rectification = Rectification(calendar, outbox, choices)
        done = effects(calendar, choices, rectification, Erasure(certifier, outbox, choices))
        desk = Desk(calendar, settings.rights_periods, Period.parse(settings.rights_extension), done)
        return cls(
            desk,
            Restrictions(desk),
            Exporter(key, settings.origin, calendar, controller, choices.events, outbox.signer),
            rectification,
            certifier,
            Sweeper(store, LOOK_SECONDS, SWEEP_SECONDS),
        )
