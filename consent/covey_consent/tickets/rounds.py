"""Rounds: a manifest and, at the end, evidence, each recorded once and logged.

The messages signed in between are in `one_message`. The log shows for ever that a round has no evidence.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from covey_consent.errors import ConflictError, RequestError, UnknownError
from covey_consent.one_message.announcement import require_one_message
from covey_consent.one_message.signed_sets import read_signed_sets
from covey_consent.storage.models import LoggedRound
from covey_consent.tickets import issuers
from covey_consent.tickets.epoch_calendar import Calendar
from covey_consent.transparency.log import Log
from covey_privacy import wire
from covey_privacy.errors import PeerError, ServerError
from covey_privacy.evidence import ABORTED, Evidence, require_consistent
from covey_privacy.manifest import FIRST, Manifest
from covey_privacy.registry_messages import LEAF_EVIDENCE, LEAF_MANIFEST, Notice
from covey_privacy.signatures import Signed, digest_of


def announce(
    session: Session,
    log: Log,
    signed: bytes,
    manifest: Manifest,
    current: Mapping[str, Notice],
    calendar: Calendar,
    registry: bytes,
) -> int:
    """Log the manifest that the operator signed and return its index; the same again has the same index.

    `registry` is this registry's public key.
    """
    known = session.get(LoggedRound, manifest.round_id)
    if known is not None:
        if known.manifest != signed:
            raise ConflictError(f"round {manifest.round_id!r} has another manifest; a round id is used once")
        return known.manifest_index
    issuers.require_set(manifest.purposes, current)
    if manifest.purpose not in manifest.purposes:
        raise RequestError(f"the manifest's purpose {manifest.purpose!r} is not in its own purpose set")
    require_one_message(session, signed, manifest, registry, calendar)
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


def find_manifest(session: Session, round_id: str) -> Manifest:
    """Return a round's manifest. Raises UnknownError."""
    return manifest_of(known_round(session, round_id))


def conclude(session: Session, log: Log, signed: bytes, evidence: Evidence) -> int:
    """Log a round's evidence and return its index; the same again has the same index.

    Raises:
        ConflictError: the round has other evidence, or states an end that needs a signed final set.
        RequestError: the evidence contradicts the round's manifest, or the sets that were signed in it.
    """
    known = known_round(session, evidence.round_id)
    if known.evidence is not None and known.evidence_index is not None:
        if known.evidence != signed:
            raise ConflictError(f"round {evidence.round_id!r} has other evidence; it is given once")
        return known.evidence_index
    if evidence.manifest != known.digest:
        raise RequestError(f"the evidence is for another manifest than round {evidence.round_id!r} has")
    sets = read_signed_sets(session, evidence.round_id)
    if sets.final is None and evidence.ended != ABORTED:
        raise ConflictError(
            f"round {evidence.round_id!r} has no signed final set: its outcome can only be {ABORTED!r}"
        )
    try:
        require_consistent(evidence, manifest_of(known), known.digest, sets)
    except ServerError as error:
        raise RequestError(str(error)) from None
    known.evidence = signed
    known.evidence_index = log.append(session, LEAF_EVIDENCE, signed)
    return known.evidence_index


def _require_place(session: Session, manifest: Manifest) -> None:
    """Raise unless the manifest is the step of its plan that it states, after a logged step of that plan."""
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


def manifest_of(known: LoggedRound) -> Manifest:
    """Return a logged round's manifest."""
    return wire.decode(Manifest, wire.decode(Signed, known.manifest).body)


def evidence_of(known: LoggedRound) -> Evidence | None:
    """Return a logged round's evidence; None while it has none, and for that of an earlier version.

    Earlier versions ran rounds in other ways, and their evidence has other fields.
    """
    if known.evidence is None:
        return None
    try:
        return wire.decode(Evidence, wire.decode(Signed, known.evidence).body)
    except PeerError:
        return None


def known_round(session: Session, round_id: str) -> LoggedRound:
    """Return the row of a round. Raises UnknownError."""
    known = session.get(LoggedRound, round_id)
    if known is None:
        raise UnknownError(f"round {round_id!r} has no logged manifest; log it first")
    return known
