"""A record's event in the terms of receipts."""

from __future__ import annotations

from collections.abc import Sequence

from covey_consent.decisions.consent_event import EVERYTHING, Record
from covey_consent.receipts.schema_27560 import Duration, Event
from covey_consent.receipts.timestamps import time

STATUS = {
    "granted": "dpv:ConsentGiven",
    "renewed": "dpv:RenewedConsentGiven",
    "refused": "dpv:ConsentRefused",
    "withdrawn": "dpv:ConsentWithdrawn",
    "expired": "dpv:ConsentExpired",
    "objected": "covey:ProcessingObjected",
    "restricted": "covey:ProcessingRestricted",
    "lifted": "covey:RestrictionLifted",
}
VALID = ("granted", "renewed")
"""The states that a person is held to: each names the very text that they saw."""

_OF_EVERYTHING = "eu-gdpr:A18"

_ACTOR = {"subject": "dpv:DataSubject", "guardian": "dpv:GuardianOfDataSubject"}
_BASIS = {"b": "dpv:ContractPerformance", "c": "dpv:LegalObligation"}


def event(record: Record, legal_basis: Sequence[str], until: str) -> Event:
    """Return the record's event under these lawful bases; `until` says in words how long it holds."""
    return Event(
        type=STATUS[record.state],
        has_legal_basis=_OF_EVERYTHING if record.purpose == EVERYTHING else kind(legal_basis),
        is_indicated_by=_ACTOR.get(record.actor, "dpv:DataController"),
        has_indication_method=record.method,
        is_indicated_at_time=time(record.at),
        has_duration=duration(record, until),
        imported_from=record.source or None,
    )


def kind(legal_basis: Sequence[str]) -> str:
    """Return the kind of consent, explicit for special categories (GDPR 9(2)(a)), or another basis."""
    if "eu-gdpr:A9-2-a" in legal_basis:
        return "dpv:ExplicitlyExpressedConsent"
    basis = next((basis for basis in legal_basis if basis.startswith("eu-gdpr:A6-1-")), "")
    return _BASIS.get(basis[-1:], "dpv:ExpressedConsent")


def duration(record: Record, until: str) -> Duration:
    """Return how long the event holds: until a time, where it has one."""
    if record.expires:
        return Duration(type="dpv:UntilTimeDuration", value=time(record.expires))
    return Duration(type="dpv:UntilEventDuration", value=until)
