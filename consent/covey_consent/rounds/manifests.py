"""Manifests: a round begins with one that the operator signed. Each is taken once and logged.

An open round without evidence shows in the log for ever.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from covey_consent.errors import ConflictError, RequestError, UnknownError
from covey_consent.policy.epoch_calendar import Calendar
from covey_consent.rounds.conditions import require_headroom
from covey_consent.storage.models import LoggedRound
from covey_consent.tickets import issuers, tickets
from covey_consent.transparency.log import Log
from covey_privacy import wire
from covey_privacy.errors import PrivacyError, ServerError
from covey_privacy.floors import PRODUCTION
from covey_privacy.manifest import FIRST, Manifest
from covey_privacy.registry_messages import LEAF_MANIFEST, Notice
from covey_privacy.secagg.terms import LEAST_POOL, Kind, RoundInfo
from covey_privacy.signatures import Signed, digest_of


def find_round(session: Session, round_id: str) -> LoggedRound:
    """Return what is kept of a round. Raises UnknownError."""
    logged = session.get(LoggedRound, round_id)
    if logged is None:
        raise UnknownError(f"round {round_id!r} has no logged manifest; log it first")
    return logged


def manifest_of(logged: LoggedRound) -> Manifest:
    """Return a logged round's manifest."""
    return wire.decode(Manifest, wire.decode(Signed, logged.manifest).body)


def log_manifest(
    session: Session,
    log: Log,
    signed: bytes,
    manifest: Manifest,
    current: Mapping[str, Notice],
    calendar: Calendar,
    registry: bytes,
) -> int:
    """Log the manifest that the operator signed and return its index; the same again has the same index.

    Args:
        current: the notices in force.
        registry: this registry's public key.

    Raises:
        RequestError: the manifest contradicts itself or the notices, or asks for less than the floors.
        ConflictError: the round has another manifest, more phones were issued tickets than its terms count,
            or it does not follow the step before it.
    """
    known = session.get(LoggedRound, manifest.round_id)
    if known is not None:
        if known.manifest != signed:
            raise ConflictError(f"round {manifest.round_id!r} has another manifest; a round id is used once")
        return known.manifest_index
    issuers.require_set(manifest.purposes, current)
    if manifest.purpose not in manifest.purposes:
        raise RequestError(f"the manifest's purpose {manifest.purpose!r} is not in its own purpose set")
    _require_terms(session, signed, manifest, registry, calendar)
    issuers.require_running(session, manifest.epoch)
    calendar.require_fetched(manifest.epoch)
    _require_place(session, manifest)
    most = min(notice.delta for notice in current.values())
    if not manifest.delta <= most:
        raise RequestError(f"the manifest's delta is {manifest.delta}; the notices promise {most} at most")
    index = log.append(session, LEAF_MANIFEST, signed)
    session.add(
        LoggedRound(
            round_id=manifest.round_id, manifest=signed, digest=digest_of(signed), manifest_index=index
        )
    )
    return index


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


def _require_terms(
    session: Session, signed: bytes, manifest: Manifest, registry: bytes, calendar: Calendar
) -> None:
    """Raise unless the manifest has sound terms within the floors of its profile, which fit its epoch."""
    if manifest.terms is None:
        raise RequestError(
            "the manifest has no terms: every round is in one message, and its terms name the committees"
        )
    info = round_info(session, signed, manifest, registry)
    if manifest.profile == PRODUCTION.name:
        _require_floors(manifest, info)
    assert manifest.windows is not None  # noqa: S101  # `round_info` saw to it
    ends = calendar.end_of(manifest.epoch)
    if manifest.windows.open > ends:
        raise RequestError(
            f"the last window closes {manifest.windows.open - ends} seconds after epoch {manifest.epoch} has "
            "ended; its tickets end with it"
        )
    require_headroom(tickets.issued(session, manifest.purposes, manifest.epoch), manifest)


def _require_floors(manifest: Manifest, info: RoundInfo) -> None:
    """Refuse a round outside of the floors of production. Phones hold to the same ones."""
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


def _require_place(session: Session, manifest: Manifest) -> None:
    """Refuse what is not the step of its plan that it says, or follows no logged step of that plan."""
    try:
        manifest.require_place()
    except ServerError as error:
        raise RequestError(str(error)) from None
    if manifest.previous == FIRST:
        return
    before = session.scalar(select(LoggedRound).where(LoggedRound.digest == manifest.previous))
    if before is None or not manifest.follows(manifest_of(before)):
        raise ConflictError(
            f"the manifest is to follow step {manifest.step - 1} of its plan, but names no such logged "
            "manifest; log that one first, under the same plan"
        )
