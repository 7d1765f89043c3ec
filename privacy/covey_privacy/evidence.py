"""Evidence: the public leaf that every finished round leaves in the log.

The leaf says enough to judge a round and too little to count anyone: cohorts are rounded down to tens,
denials below ten read "<10". The exact figures stand in the annex, whose hash is in the leaf
(`covey_privacy.sealed_figures`).

What evidence repeats of its manifest and of the sets that the registry signed has to be the same there:
`require_consistent` is what the registry checks before it logs a leaf, and what an auditor checks again.
Whoever has the release, or the round's proofs, holds them against the leaf by `require_release` and
`require_proofs`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from covey_privacy import wire
from covey_privacy.dp import epsilon
from covey_privacy.errors import PrivacyError, ServerError
from covey_privacy.manifest import Manifest
from covey_privacy.merkle import EMPTY
from covey_privacy.protocol_rules import Rule
from covey_privacy.secagg.messages import SetHead
from covey_privacy.secagg.shape import Shape, integrity_proved
from covey_privacy.secagg.terms import MOST_DECRYPTORS, MOST_ORGANISATIONS, Kind

CONTEXT = "evidence"

RELEASED, ABORTED, WITHHELD, BURNT = "released", "aborted", "withheld", "burnt"
"""How a round ends. Behind "aborted" a reason may follow: "aborted: too few devices"."""
_CHARGED = (RELEASED, WITHHELD, BURNT)

NO_RELEASE = bytes(32)
"""Stands for the hash of a release where nothing was released."""

NO_PROOFS = bytes(32)
"""Stands for the hash of a round's proofs where no final set was asked for."""

_REPEATED = (
    "round_id", "query", "purposes", "profile", "model",
    "norm", "sigma", "epsilon", "delta", "honest", "least_issued",
)  # fmt: skip
_TOLERANCE = 1 - 1e-6


@dataclass(frozen=True, slots=True)
class CommitteeEvidence:
    """One committee of a round: of `members` decryptors `opened` gave a sum, `threshold` (R) are needed."""

    kind: wire.U32
    members: wire.U32
    threshold: wire.U32
    opened: wire.U32


@dataclass(frozen=True, slots=True)
class ComplaintCount:
    """How many dealings of the included set an organisation complained of, by its number on the committee."""

    decryptor: wire.U32
    members: wire.U32


@dataclass(frozen=True, slots=True)
class Evidence:
    """What anyone may read about a round.

    `included` and `final` are the roots of the two sets that the registry signed, `merkle.EMPTY` where it
    signed none; `cohort` is the size of the included set and `excluded` how many of it are not in the final
    one, both rounded down to tens. `integrity_proved` says whether a false sum would have needed more corrupt
    decryptors than the terms allow for. `proofs` is the digest of the `RoundProofs`, `release` the SHA-256 of
    the signed release, zeros where nothing was released.
    """

    round_id: wire.Name
    query: wire.Name
    purposes: wire.Names
    profile: wire.Name
    manifest: wire.Bytes32
    model: wire.Bytes32
    included: wire.Bytes32
    final: wire.Bytes32
    cohort: wire.U32
    excluded: wire.U32
    denials: wire.Name
    committees: Annotated[tuple[CommitteeEvidence, ...], wire.Size(0, 2)]
    complaints: Annotated[tuple[ComplaintCount, ...], wire.Size(0, MOST_ORGANISATIONS)]
    integrity_proved: bool
    norm: float
    sigma: float
    epsilon: float
    epsilon_so_far: float
    delta: float
    honest: wire.U32
    least_issued: wire.U32
    outcome: wire.Name
    code_version: wire.Name
    shared_operator: bool
    annex: wire.Bytes32
    proofs: wire.Bytes32
    release: wire.Bytes32

    @property
    def ended(self) -> str:
        """The outcome without its reason."""
        return self.outcome.partition(":")[0]


@dataclass(frozen=True, slots=True)
class RoundProofs:
    """What the final set and the opened sum rest on, as the coordinator publishes it.

    `final_request` is the encoded `secagg.messages.FinalRequest`: who was left out, with complaints and
    proofs. `openings` are the decryptors' signed sums of shares over the final set.
    """

    final_request: Annotated[bytes, wire.Size(0, 2**27)]
    openings: Annotated[
        tuple[Annotated[bytes, wire.Size(1, 2**14)], ...], wire.Size(0, MOST_DECRYPTORS + MOST_ORGANISATIONS)
    ]

    @property
    def digest(self) -> bytes:
        """SHA-256 of the encoded proofs; `NO_PROOFS` where no final set was asked for."""
        return hashlib.sha256(wire.encode(self)).digest() if self.final_request else NO_PROOFS


@dataclass(frozen=True, slots=True)
class SignedSets:
    """What the registry signed in a round, as far as it went: both sets, and the size of the roster of
    volunteers."""

    included: SetHead | None = None
    final: SetHead | None = None
    volunteers: int = 0


def tens(count: int) -> int:
    """Return `count` rounded down to tens."""
    return count // 10 * 10


def few(count: int) -> str:
    """Return `count` as text, or "<10"."""
    return "<10" if count < 10 else str(count)


def shapes(manifest: Manifest, volunteers: int) -> dict[Kind, Shape]:
    """Return the shapes of a round's committees, for a roster of so many volunteers.

    Raises ServerError where the manifest states no round in one message, or no shape for such a roster.
    """
    terms, found = manifest.require_terms(), {}
    if terms.standing is not None:
        found[Kind.STANDING] = terms.standing
    if Kind.DRAWN in terms.kinds:
        found[Kind.DRAWN] = terms.drawn_shape(volunteers)
    return found


def require_consistent(evidence: Evidence, manifest: Manifest, digest: bytes, signed: SignedSets) -> None:
    """Raise ServerError, with the first field that is wrong, unless evidence fits what was logged before it.

    `digest` is that of the signed `manifest`. A round that was aborted before its coordinator took a set
    states that of nobody.
    """
    if evidence.ended == ABORTED:
        signed = SignedSets(
            signed.included if evidence.included != EMPTY else None,
            signed.final if evidence.final != EMPTY else None,
            signed.volunteers,
        )
    for what, stated, logged in _pairs(evidence, manifest, digest, signed):
        if stated != logged:
            raise _contradiction(evidence, f"{what} is {_plain(stated)}; {_plain(logged)} was logged")
    _require_outcome(evidence, manifest, signed)
    _require_counts(evidence, manifest, signed)


def require_release(evidence: Evidence, signed: bytes) -> None:
    """Raise ServerError unless evidence names this signed release."""
    if hashlib.sha256(signed).digest() != evidence.release:
        raise _contradiction(evidence, "it has the hash of another release, or of none")


def require_proofs(evidence: Evidence, proofs: RoundProofs) -> None:
    """Raise ServerError unless evidence names these proofs."""
    if proofs.digest != evidence.proofs:
        raise _contradiction(evidence, "it has the hash of other proofs, or of none")


def _pairs(
    evidence: Evidence, manifest: Manifest, digest: bytes, signed: SignedSets
) -> Iterator[tuple[str, object, object]]:
    """Return what evidence repeats: the field, what it states, and what was logged."""
    for name in _REPEATED:
        yield name, getattr(evidence, name), getattr(manifest, name)
    included, final = signed.included, signed.final
    yield "manifest", evidence.manifest, digest
    yield "included", evidence.included, included.root if included else EMPTY
    yield "final", evidence.final, final.root if final else EMPTY
    yield "cohort", evidence.cohort, tens(included.size) if included else 0
    yield "excluded", evidence.excluded, tens(included.size - final.size) if included and final else 0
    stated = [(each.kind, each.members, each.threshold) for each in evidence.committees]
    named = shapes(manifest, signed.volunteers) if included else {}
    yield "committees", stated, [(kind, shape.members, shape.threshold) for kind, shape in named.items()]


def _require_outcome(evidence: Evidence, manifest: Manifest, signed: SignedSets) -> None:
    """Check what follows from how the round ended."""
    ended, final = evidence.ended, signed.final
    if ended not in (*_CHARGED, ABORTED):
        raise _contradiction(evidence, f"outcome is {evidence.outcome!r}; a round is released, aborted, ...")
    if ended != ABORTED and final is None:
        raise _contradiction(
            evidence, f"the round has no signed final set: its outcome can only be {ABORTED!r}"
        )
    if (evidence.release != NO_RELEASE) != (ended == RELEASED):
        raise _contradiction(evidence, f"a round that is {ended} has a release exactly if it is {RELEASED}")
    if final is not None and evidence.proofs == NO_PROOFS:
        raise _contradiction(evidence, "a final set is signed, and no proofs are named")
    opened = all(each.opened >= each.threshold for each in evidence.committees)
    if ended in (RELEASED, WITHHELD) and not opened:
        raise _contradiction(evidence, "fewer decryptors opened than the round needs")
    if evidence.integrity_proved and ended not in (RELEASED, WITHHELD):
        raise _contradiction(evidence, f"a round that is {ended} has no sum whose integrity is proved")
    least = _cost(manifest) * _TOLERANCE if ended in _CHARGED else 0.0
    if not evidence.epsilon_so_far >= least:
        raise _contradiction(
            evidence, f"epsilon_so_far is {evidence.epsilon_so_far}; this round alone costs {least:.4g}"
        )


def _require_counts(evidence: Evidence, manifest: Manifest, signed: SignedSets) -> None:
    """Check what is counted of decryptors against their numbers and the included set."""
    if any(each.opened > each.members for each in evidence.committees):
        raise _contradiction(evidence, "more decryptors opened than there are")
    members = signed.included.size if signed.included else 0
    seats = range(1, len(manifest.require_terms().organisations) + 1)
    numbers = [each.decryptor for each in evidence.complaints]
    if not all(number in seats for number in numbers):
        raise _contradiction(evidence, "complaints are counted of an organisation that has no seat")
    if numbers != sorted(set(numbers)):
        raise _contradiction(
            evidence, "complaints are counted once for each organisation, in the order of seats"
        )
    if not all(0 < each.members <= members for each in evidence.complaints):
        raise _contradiction(evidence, f"complaints are of 1 to {members} members of the included set")
    if not evidence.integrity_proved:
        return
    answers = {Kind(each.kind): each.opened for each in evidence.committees}
    for kind, shape in shapes(manifest, signed.volunteers).items():
        if not integrity_proved(shape, answers[kind], 0):
            raise _contradiction(evidence, "too few decryptors opened to prove the sum's integrity")


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
