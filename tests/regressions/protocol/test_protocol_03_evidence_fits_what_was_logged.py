"""Evidence repeats its manifest and signed sets truly, and names the release and the proofs that it is of."""

from __future__ import annotations

import hashlib

import pytest
from registry_players import sign_sets
from shared_fixtures import fixtures_of

from covey_privacy import wire
from covey_privacy.errors import ServerError
from covey_privacy.evidence import (
    NO_PROOFS,
    CommitteeEvidence,
    ComplaintCount,
    Evidence,
    RoundProofs,
    require_consistent,
    require_proofs,
    require_release,
)
from covey_privacy.merkle import EMPTY
from covey_privacy.signatures import Signed

globals().update(fixtures_of("consent"))
PATH = "/v1/rounds/round-1/evidence"
RELEASE = b"a signed release"
PROOFS = RoundProofs(b"a request for the final set", (b"a sum of shares",))

WRONG = {
    "sigma": 99.0, "epsilon": 0.01, "delta": 1e-12, "norm": 2.0, "honest": 2, "least_issued": 0,
    "query": "q20", "profile": "production", "purposes": ("analytics", "personalize"), "model": b"x" * 32,
    "included": b"x" * 32, "final": EMPTY, "cohort": 200, "excluded": 0, "committees": (),
    "epsilon_so_far": 0.01, "release": bytes(32),
}  # fmt: skip


@pytest.fixture
def terms(shop):
    """Return the manifest of a round whose sets of 34 and 22 members are signed, and its digest."""
    manifest = shop.manifest(shop.issuer("analytics"), honest=10)
    digest = shop.announce(manifest)
    sign_sets(shop, manifest, digest, 34, 22)
    return manifest, digest


def leaf_of(signed: bytes) -> Evidence:
    return wire.decode(Evidence, wire.decode(Signed, signed).body)


@pytest.mark.parametrize("field", WRONG)
def test_evidence_fits_what_was_logged(shop, terms, problem, field):
    logged = len(shop.entries())
    signed = shop.evidence(*terms, "released", **{field: WRONG[field]})
    answer = shop.post(PATH, signed)
    assert answer.status_code == 422, f"logged with {field} = {WRONG[field]!r}"
    assert "the evidence of round 'round-1' does not fit" in answer.json()["detail"]
    assert len(shop.entries()) == logged
    assert shop.post(PATH, shop.evidence(*terms, "released")).status_code == 200


@pytest.mark.parametrize(
    ("outcome", "changes"),
    [("done", {}), ("aborted", {"release": b"x" * 32}), ("withheld", {"release": b"x" * 32})],
)
def test_an_outcome_is_a_known_one_and_only_a_release_has_a_hash(shop, terms, problem, outcome, changes):
    problem(shop.post(PATH, shop.evidence(*terms, outcome, **changes)), 422)


@pytest.mark.parametrize(
    ("outcome", "changes", "says"),
    [
        ("released", {"proofs": NO_PROOFS}, "no proofs are named"),
        ("aborted", {"proofs": NO_PROOFS}, "no proofs are named"),
        ("burnt", {"committees": (CommitteeEvidence(1, 4, 2, 5),)}, "more decryptors opened than there are"),
        ("released", {"committees": (CommitteeEvidence(1, 4, 2, 1),)}, "fewer decryptors opened"),
        ("released", {"committees": (CommitteeEvidence(1, 4, 2, 2),)}, "too few decryptors opened to prove"),
        ("burnt", {"integrity_proved": True}, "no sum whose integrity is proved"),
        ("released", {"complaints": (ComplaintCount(2, 7), ComplaintCount(2, 7))}, "in the order of seats"),
        ("released", {"complaints": (ComplaintCount(3, 7), ComplaintCount(2, 7))}, "in the order of seats"),
        ("released", {"complaints": (ComplaintCount(5, 7),)}, "has no seat"),
        ("released", {"complaints": (ComplaintCount(2, 35),)}, "1 to 34 members"),
        ("released", {"complaints": (ComplaintCount(2, 0),)}, "1 to 34 members"),
    ],
)
def test_what_is_counted_of_decryptors_can_be(shop, terms, problem, outcome, changes, says):
    assert says in problem(shop.post(PATH, shop.evidence(*terms, outcome, **changes)), 422)


def test_as_many_answers_as_prove_integrity_do(shop, terms):
    enough = {"committees": (CommitteeEvidence(1, 4, 2, 3),)}
    assert shop.post(PATH, shop.evidence(*terms, "released", **enough)).status_code == 200


@pytest.mark.parametrize("outcome", ["released", "withheld", "burnt", "aborted", "aborted: too few devices"])
def test_every_true_end_is_logged(shop, terms, outcome):
    assert shop.post(PATH, shop.evidence(*terms, outcome)).status_code == 200


def test_a_round_may_be_aborted_before_a_set_was_taken(shop, terms):
    none = {"included": EMPTY, "final": EMPTY, "cohort": 0, "excluded": 0, "committees": ()}
    assert shop.post(PATH, shop.evidence(*terms, "aborted", **none)).status_code == 200


def test_an_auditor_holds_evidence_against_manifest_and_sets(shop, terms):
    manifest, digest = terms
    sets = shop.signed_sets("round-1")
    leaf = leaf_of(shop.evidence(manifest, digest, "released"))
    require_consistent(leaf, manifest, digest, sets)
    for field, value in WRONG.items():
        wrong = leaf_of(shop.evidence(manifest, digest, "released", **{field: value}))
        with pytest.raises(ServerError, match="does not fit"):
            require_consistent(wrong, manifest, digest, sets)
    with pytest.raises(ServerError, match="manifest is"):
        require_consistent(leaf, manifest, bytes(32), sets)


def test_an_auditor_holds_the_release_and_the_proofs_against_evidence(shop, terms):
    leaf = leaf_of(shop.evidence(*terms, "released", proofs=PROOFS.digest))
    require_release(leaf, RELEASE)
    require_proofs(leaf, PROOFS)
    assert leaf.release == hashlib.sha256(RELEASE).digest()
    with pytest.raises(ServerError, match="another release"):
        require_release(leaf, b"another release")
    for other in (RoundProofs(PROOFS.final_request, ()), RoundProofs(b"another", PROOFS.openings)):
        with pytest.raises(ServerError, match="other proofs"):
            require_proofs(leaf, other)
    assert RoundProofs(b"", ()).digest == NO_PROOFS
