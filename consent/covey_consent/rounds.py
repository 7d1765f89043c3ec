"""Rounds: manifest, countersigned roster and evidence, each taken once and logged.

An open round without evidence shows in the log for ever.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from covey_consent import issuers, tickets
from covey_consent.epochs import Calendar
from covey_consent.errors import ConflictError, RequestError, UnknownError
from covey_consent.log import Log
from covey_consent.models import LoggedRound, SpentTicket
from covey_consent.one_message.announcement import require_one_message
from covey_consent.store import all_in
from covey_privacy import wire
from covey_privacy.consent import LEAF_EVIDENCE, LEAF_MANIFEST, LEAF_ROSTER, Notice
from covey_privacy.errors import PeerError, ServerError
from covey_privacy.evidence import ABORTED, Evidence, require_consistent
from covey_privacy.five_phases.roster import Countersigned, Roster, RosterHead
from covey_privacy.manifest import FIRST, Manifest
from covey_privacy.profile import PRODUCTION
from covey_privacy.signatures import Signed, SigningKey, digest_of
from covey_privacy.tickets import IssuerKey, Role

ADVERT_BYTES = 1024
"""The most bytes that an encoded advert takes, with its ticket (about 500 today)."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """A roster whose every advert has been checked: its head, and the round keys of the bad ones."""

    head: RosterHead
    keys: tuple[bytes, ...]
    bad: tuple[bytes, ...]


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
    if manifest.terms is None:
        _require_five_phases(session, manifest)
    else:
        require_one_message(session, signed, manifest, registry, calendar)
    issuers.require_running(session, manifest.epoch)
    calendar.require_fetched(manifest.epoch)
    _require_place(session, manifest)
    _require_delta(manifest, current)
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


def find(session: Session, round_id: str) -> tuple[Manifest, IssuerKey]:
    """Return a round's manifest and the issuer key of its contributors. Raises UnknownError."""
    manifest = find_manifest(session, round_id)
    keys = issuers.find(session, manifest.purposes, manifest.epoch)
    if keys is None:
        raise UnknownError(f"the issuer keys of round {round_id!r} are not here")
    return manifest, keys.of(Role.CONTRIBUTE, manifest.slot)


def roster_bytes(manifest: Manifest) -> int:
    """Return the most bytes that a roster of the round takes."""
    return 4096 + manifest.most_cohort * ADVERT_BYTES


def freeze(roster: Roster, issuer: IssuerKey) -> Frozen:
    """Check every advert of the roster. This takes about 0.3 ms for each: run it in a thread."""
    keys = tuple(advert.round_key for advert in roster.adverts)
    if any(a >= b for a, b in itertools.pairwise(keys)):
        raise RequestError("a roster is in the order of its round keys, and each stands in it once")
    bad = []
    for advert in roster.adverts:
        try:
            advert.check(roster.manifest, issuer)
        except PeerError:
            bad.append(advert.round_key)
    return Frozen(roster.head(), keys, tuple(bad))


def countersign(
    session: Session, log: Log, key: SigningKey, frozen: Frozen, calendar: Calendar
) -> Countersigned:
    """Spend the roster's tickets, log its head and sign it, once for each round.

    Where tickets are bad or spent in another round, those are named, nothing is signed and nothing is spent.
    """
    head = frozen.head
    known = known_round(session, head.round_id)
    if known.head is not None:
        return _again(known, head)
    manifest = manifest_of(known)
    _require_fit(manifest, known, head, calendar)
    issuers.require_running(session, manifest.epoch)
    issued = tickets.issued(session, manifest.purposes, manifest.epoch)
    if issued < manifest.least_issued:
        raise ConflictError(f"{issued} batches were issued; the manifest asks for {manifest.least_issued}")
    spent = tuple(all_in(session, select(SpentTicket.round_key), SpentTicket.round_key, frozen.keys))
    if frozen.bad or spent:
        return Countersigned(b"", issued, frozen.bad, spent)
    spends = [{"round_key": round_key, "round_id": head.round_id} for round_key in frozen.keys]
    session.execute(insert(SpentTicket), spends)
    log.append(session, LEAF_ROSTER, wire.encode(head))
    known.head, known.countersignature, known.issued = wire.encode(head), head.countersign(key), issued
    return Countersigned(known.countersignature, issued, (), ())


def conclude(session: Session, log: Log, signed: bytes, evidence: Evidence) -> int:
    """Log a round's evidence and return its index; the same again has the same index.

    Raises RequestError where it contradicts the round's logged manifest or roster.
    """
    known = known_round(session, evidence.round_id)
    if known.evidence is not None and known.evidence_index is not None:
        if known.evidence != signed:
            raise ConflictError(f"round {evidence.round_id!r} has other evidence; it is given once")
        return known.evidence_index
    if evidence.manifest != known.digest:
        raise RequestError(f"the evidence is for another manifest than round {evidence.round_id!r} has")
    if known.head is None and evidence.ended != ABORTED:
        raise ConflictError(
            f"round {evidence.round_id!r} has no countersigned roster: its outcome can only be {ABORTED!r}"
        )
    head = wire.decode(RosterHead, known.head) if known.head else None
    try:
        require_consistent(evidence, manifest_of(known), known.digest, head)
    except ServerError as error:
        raise RequestError(str(error)) from None
    known.evidence = signed
    known.evidence_index = log.append(session, LEAF_EVIDENCE, signed)
    return known.evidence_index


def _require_five_phases(session: Session, manifest: Manifest) -> None:
    """Refuse a round in five phases whose manifest names other issuer keys, or is outside of its floors."""
    keys = issuers.find(session, manifest.purposes, manifest.epoch)
    if keys is None:
        raise RequestError(
            f"no issuer keys were made for {issuers.name_of(manifest.purposes)} in epoch {manifest.epoch}; "
            "ask /v1/issuers for them"
        )
    try:
        manifest.issuer_key(keys, Role.CONTRIBUTE)
    except ServerError as error:
        raise RequestError(f"{error}; ask /v1/issuers for them") from None
    _require_floors(manifest)


def _require_floors(manifest: Manifest) -> None:
    """Refuse a round of production outside its floors and ceilings.

    Another profile is one that phones were opened with.
    """
    if manifest.profile != PRODUCTION.name:
        return
    for name, floor in PRODUCTION.floors(manifest.purpose).items():
        stated = getattr(manifest, name)
        if not stated >= floor:
            raise RequestError(
                f"the manifest's {name} is {stated}; profile {manifest.profile} asks for {floor} at least"
            )
    for name, ceiling in PRODUCTION.ceilings().items():
        stated = getattr(manifest, name)
        if not stated <= ceiling:
            raise RequestError(
                f"the manifest's {name} is {stated}; profile {manifest.profile} allows {ceiling} at most"
            )
    if manifest.honest < manifest.least_honest:
        raise RequestError(
            f"the manifest's honest is {manifest.honest}; its own least_cohort, gamma and dropout ask for "
            f"{manifest.least_honest} at least"
        )


def _require_delta(manifest: Manifest, current: Mapping[str, Notice]) -> None:
    """Refuse a round that is accounted at a greater delta than a notice in force promises, as phones do."""
    most = min(notice.delta for notice in current.values())
    if not manifest.delta <= most:
        raise RequestError(f"the manifest's delta is {manifest.delta}; the notices promise {most} at most")


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


def _again(known: LoggedRound, head: RosterHead) -> Countersigned:
    if known.head != wire.encode(head) or known.countersignature is None or known.issued is None:
        raise ConflictError(f"round {head.round_id!r} has another roster; a second is never signed")
    return Countersigned(known.countersignature, known.issued, (), ())


def _require_fit(manifest: Manifest, known: LoggedRound, head: RosterHead, calendar: Calendar) -> None:
    if known.evidence is not None:
        raise ConflictError(f"round {head.round_id!r} is over")
    if head.manifest != known.digest:
        raise RequestError(f"the roster is for another manifest than round {head.round_id!r} has")
    if not manifest.least_cohort <= head.size <= manifest.most_cohort:
        raise RequestError(
            f"the roster has {head.size} devices; the manifest takes {manifest.least_cohort} to "
            f"{manifest.most_cohort}"
        )
    if calendar.now > calendar.end_of(manifest.epoch) + calendar.tolerance_seconds:
        raise ConflictError(f"epoch {manifest.epoch} has ended, and its tickets with it")


def manifest_of(known: LoggedRound) -> Manifest:
    """Return a logged round's manifest."""
    return wire.decode(Manifest, wire.decode(Signed, known.manifest).body)


def known_round(session: Session, round_id: str) -> LoggedRound:
    """Return what is kept of a round. Raises UnknownError."""
    known = session.get(LoggedRound, round_id)
    if known is None:
        raise UnknownError(f"round {round_id!r} has no logged manifest; log it first")
    return known
