"""Evidence: the public leaf that every finished round leaves in the log.

The leaf says enough to judge a round and too little to count anyone: cohorts are rounded down to tens,
denials below ten read "<10". The exact figures stand in the annex, whose hash is in the leaf
(`covey_privacy.annex`).

What evidence repeats of its manifest and roster has to be the same there: `require_consistent` is what the
registry checks before it logs a leaf, and what an auditor checks again. Whoever has the release or the
survivors' round keys holds them against the leaf by `require_release` and `require_survivors`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from covey_privacy import wire
from covey_privacy.dp import epsilon
from covey_privacy.errors import PrivacyError, ServerError
from covey_privacy.five_phases import graph
from covey_privacy.five_phases.roster import RosterHead
from covey_privacy.manifest import Manifest
from covey_privacy.merkle import EMPTY, Tree, leaf_hash
from covey_privacy.rules import Rule

CONTEXT = "evidence"

RELEASED, ABORTED, WITHHELD, BURNT = "released", "aborted", "withheld", "burnt"
"""How a round ends. Behind "aborted" a reason may follow: "aborted: too few devices"."""
_CHARGED = (RELEASED, WITHHELD, BURNT)

NO_RELEASE = bytes(32)
"""Stands for the hash of a release where nothing was released."""

_REPEATED = (
    "round_id", "query", "purposes", "profile", "model",
    "norm", "sigma", "epsilon", "delta", "honest", "least_issued",
)  # fmt: skip
_TOLERANCE = 1 - 1e-6


@dataclass(frozen=True, slots=True)
class Evidence:
    """What anyone may read about a round.

    `survivors` is the root of the survivors' round keys (`survivors_root`), `release` the SHA-256 of the
    signed release, zeros where nothing was released.
    """

    round_id: wire.Name
    query: wire.Name
    purposes: wire.Names
    profile: wire.Name
    manifest: wire.Bytes32
    model: wire.Bytes32
    ticket_root: wire.Bytes32
    cohort: wire.U32
    dropouts: wire.U32
    denials: wire.Name
    norm: float
    sigma: float
    epsilon: float
    epsilon_so_far: float
    delta: float
    honest: wire.U32
    threshold: wire.U32
    least_issued: wire.U32
    outcome: wire.Name
    code_version: wire.Name
    shared_operator: bool
    annex: wire.Bytes32
    survivors: wire.Bytes32
    release: wire.Bytes32

    @property
    def ended(self) -> str:
        """The outcome without its reason."""
        return self.outcome.partition(":")[0]


def tens(count: int) -> int:
    """Return `count` rounded down to tens."""
    return count // 10 * 10


def few(count: int) -> str:
    """Return `count` as text, or "<10"."""
    return "<10" if count < 10 else str(count)


def survivors_root(round_keys: Iterable[bytes]) -> bytes:
    """Return the Merkle root (RFC 9162, 2.1) over the survivors' round keys, in the order of the roster.

    Round keys are in no log: who does not know them finds out neither who survived nor how many.
    """
    return Tree([leaf_hash(key) for key in round_keys]).root()


def require_consistent(
    evidence: Evidence, manifest: Manifest, digest: bytes, head: RosterHead | None
) -> None:
    """Raise ServerError, with the first field that is wrong, unless evidence fits what was logged before it.

    `digest` is that of the signed `manifest`; `head` is the countersigned roster's, None where there is none.
    A round that was aborted before its coordinator took the roster states that of nobody.
    """
    if evidence.ended == ABORTED and evidence.ticket_root == EMPTY:
        head = None
    for what, stated, logged in _pairs(evidence, manifest, digest, head):
        if stated != logged:
            raise _contradiction(evidence, f"{what} is {_plain(stated)}; {_plain(logged)} was logged")
    _require_outcome(evidence, manifest, head)


def require_release(evidence: Evidence, signed: bytes) -> None:
    """Raise ServerError unless evidence names this signed release."""
    if hashlib.sha256(signed).digest() != evidence.release:
        raise _contradiction(evidence, "it has the hash of another release, or of none")


def require_survivors(evidence: Evidence, round_keys: Iterable[bytes]) -> None:
    """Raise ServerError unless the survivors' round keys, in the roster's order, give evidence's root."""
    if survivors_root(round_keys) != evidence.survivors:
        raise _contradiction(evidence, "it has the root of another survivor set, or of none")


def _pairs(
    evidence: Evidence, manifest: Manifest, digest: bytes, head: RosterHead | None
) -> Iterator[tuple[str, object, object]]:
    """Return what evidence repeats: the field, what it states, and what was logged."""
    for name in _REPEATED:
        yield name, getattr(evidence, name), getattr(manifest, name)
    yield "manifest", evidence.manifest, digest
    yield "ticket_root", evidence.ticket_root, head.root if head else EMPTY
    yield "cohort", evidence.cohort, tens(head.size) if head else 0
    yield "threshold", evidence.threshold, _threshold(manifest, head.size) if head else 0


def _require_outcome(evidence: Evidence, manifest: Manifest, head: RosterHead | None) -> None:
    """Check what follows from how the round ended."""
    ended, size = evidence.ended, head.size if head else 0
    if ended not in (*_CHARGED, ABORTED):
        raise _contradiction(evidence, f"outcome is {evidence.outcome!r}; a round is released, aborted, ...")
    if ended != ABORTED and head is None:
        raise _contradiction(
            evidence, f"the round has no countersigned roster: its outcome can only be {ABORTED!r}"
        )
    if (evidence.release != NO_RELEASE) != (ended == RELEASED):
        raise _contradiction(evidence, f"a round that is {ended} has a release exactly if it is {RELEASED}")
    if ended in _CHARGED and evidence.survivors == EMPTY:
        raise _contradiction(evidence, f"a round that is {ended} has survivors; none are named")
    most = tens(max(size - manifest.least_survivors(size), 0)) if ended in _CHARGED else tens(size)
    if evidence.dropouts % 10 or evidence.dropouts > most:
        raise _contradiction(evidence, f"dropouts is {evidence.dropouts}; tens up to {most} can be")
    least = _cost(manifest) * _TOLERANCE if ended in _CHARGED else 0.0
    if not evidence.epsilon_so_far >= least:
        raise _contradiction(
            evidence, f"epsilon_so_far is {evidence.epsilon_so_far}; this round alone costs {least:.4g}"
        )


def _threshold(manifest: Manifest, size: int) -> int | None:
    try:
        return graph.parameters(size, manifest.gamma, manifest.dropout)[1]
    except PrivacyError:
        return None


def _cost(manifest: Manifest) -> float:
    """Return what the round costs at least by its manifest; 0 where the noise in it makes no sense.

    A round calibrated to an epsilon may cost a little less than that.
    """
    try:
        return min(manifest.epsilon, epsilon([manifest.charge.mechanism], manifest.delta))
    except PrivacyError:
        return 0.0


def _plain(value: object) -> object:
    return value.hex() if isinstance(value, bytes) else value


def _contradiction(evidence: Evidence, why: str) -> ServerError:
    return ServerError(
        f"the evidence of round {evidence.round_id!r} does not fit: {why}", rule=Rule.DOCUMENT_CONTENT
    )
