"""What the manifest of a round in one message must state before it is logged."""

from __future__ import annotations

from sqlalchemy.orm import Session

from covey_consent.errors import RequestError
from covey_consent.one_message.conditions import require_headroom
from covey_consent.tickets import issuers, tickets
from covey_consent.tickets.epoch_calendar import Calendar
from covey_privacy.errors import PrivacyError
from covey_privacy.floors import PRODUCTION
from covey_privacy.manifest import Manifest
from covey_privacy.secagg.terms import LEAST_POOL, Kind, RoundInfo
from covey_privacy.signatures import digest_of


def require_one_message(
    session: Session, signed: bytes, manifest: Manifest, registry: bytes, calendar: Calendar
) -> None:
    """Raise unless the manifest has terms, which are sound, within the profile's floors, and fit its epoch.

    Args:
        signed: the signed manifest.
        registry: the registry's public key.

    Raises:
        RequestError: the manifest contradicts itself, or asks for less than the floors.
        ConflictError: more phones were issued tickets than its terms count.
    """
    if manifest.terms is None:
        raise RequestError(
            "the manifest has no terms: every round is in one message, and its terms name the committees"
        )
    info = round_info(session, signed, manifest, registry)
    _require_floors(manifest, info)
    assert manifest.windows is not None  # noqa: S101  # `round_info` saw to it
    ends = calendar.end_of(manifest.epoch)
    if manifest.windows.open > ends:
        raise RequestError(
            f"the last window closes {manifest.windows.open - ends} seconds after epoch {manifest.epoch} has "
            "ended; its tickets end with it"
        )
    require_headroom(tickets.issued(session, manifest.purposes, manifest.epoch), manifest)


def round_info(session: Session, signed: bytes, manifest: Manifest, registry: bytes) -> RoundInfo:
    """Return what everyone knows of the round. Raises RequestError where its terms are not sound."""
    keys = issuers.find(session, manifest.purposes, manifest.epoch)
    if keys is None:
        raise RequestError(
            f"epoch {manifest.epoch} has no issuer keys by role and slot for {'+'.join(manifest.purposes)}"
        )
    try:
        return manifest.info(digest_of(signed), registry, keys)
    except PrivacyError as error:
        raise RequestError(f"{error} ({error.rule})") from None


def _require_floors(manifest: Manifest, info: RoundInfo) -> None:
    """Refuse a round of production outside of its floors. Phones hold to the same ones."""
    if manifest.profile != PRODUCTION.name:
        return
    terms, least = info.terms, PRODUCTION.least_cohort(manifest.purpose)
    stated = {
        "gamma": (manifest.gamma, PRODUCTION.least_gamma),
        "least_issued": (manifest.least_issued, least),
        "least_cell": (manifest.least_cell, PRODUCTION.least_cell),
        "terms.issued": (terms.issued, manifest.least_issued),
        "terms.least_set": (terms.least_set, least),
    }
    if terms.kinds == (Kind.DRAWN,):
        stated["smallest roster"] = (min(band.least_volunteers for band in terms.bands), LEAST_POOL)
    for name, (value, floor) in stated.items():
        if not value >= floor:
            raise RequestError(
                f"the manifest's {name} is {value}; profile {manifest.profile} asks for {floor} at least"
            )
