"""Evidence: a round ends with the one that the operator signed. It is taken once and logged."""

from __future__ import annotations

from sqlalchemy.orm import Session

from covey_consent.errors import ConflictError, RequestError
from covey_consent.rounds.manifests import find_round, manifest_of
from covey_consent.rounds.signed_sets import read_signed_sets
from covey_consent.storage.models import LoggedRound
from covey_consent.transparency.log import Log
from covey_privacy import wire
from covey_privacy.errors import PeerError, ServerError
from covey_privacy.evidence import ABORTED, Evidence, require_consistent
from covey_privacy.registry_messages import LEAF_EVIDENCE
from covey_privacy.signatures import Signed


def log_evidence(session: Session, log: Log, signed: bytes, evidence: Evidence) -> int:
    """Log a round's evidence and return its index; the same again has the same index.

    Raises:
        ConflictError: the round has other evidence, or states an end that needs a signed final set.
        RequestError: the evidence contradicts the round's manifest, or the sets that were signed in it.
    """
    logged = find_round(session, evidence.round_id)
    if logged.evidence is not None and logged.evidence_index is not None:
        if logged.evidence != signed:
            raise ConflictError(f"round {evidence.round_id!r} has other evidence; it is given once")
        return logged.evidence_index
    if evidence.manifest != logged.digest:
        raise RequestError(f"the evidence is for another manifest than round {evidence.round_id!r} has")
    sets = read_signed_sets(session, evidence.round_id)
    if sets.final is None and evidence.ended != ABORTED:
        raise ConflictError(
            f"round {evidence.round_id!r} has no signed final set: its outcome can only be {ABORTED!r}"
        )
    try:
        require_consistent(evidence, manifest_of(logged), logged.digest, sets)
    except ServerError as error:
        raise RequestError(str(error)) from None
    logged.evidence = signed
    logged.evidence_index = log.append(session, LEAF_EVIDENCE, signed)
    return logged.evidence_index


def evidence_of(logged: LoggedRound) -> Evidence | None:
    """Return a logged round's evidence; None while it has none, and for that of an earlier version.

    Earlier versions ran rounds in other ways, and their evidence has other fields.
    """
    if logged.evidence is None:
        return None
    try:
        return wire.decode(Evidence, wire.decode(Signed, logged.evidence).body)
    except PeerError:
        return None
