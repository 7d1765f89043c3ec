"""Evidence repeats its manifest and roster truly, and names the release and the survivors that it is of."""

from __future__ import annotations

import hashlib

import pytest
from shared_fixtures import fixtures_of

from covey_privacy import wire
from covey_privacy.errors import ServerError
from covey_privacy.evidence import (
    Evidence,
    require_consistent,
    require_release,
    require_survivors,
)
from covey_privacy.five_phases.roster import Roster
from covey_privacy.signatures import Signed

globals().update(fixtures_of("consent"))
PATH = "/v1/rounds/round-1/evidence"

WRONG = {
    "sigma": 99.0, "epsilon": 0.01, "delta": 1e-12, "norm": 2.0, "honest": 2, "least_issued": 0,
    "query": "q20", "profile": "production", "purposes": ("analytics", "personalize"), "model": b"x" * 32,
    "ticket_root": b"x" * 32, "cohort": 200, "threshold": 1, "epsilon_so_far": 0.01, "dropouts": 10,
    "release": bytes(32), "survivors": hashlib.sha256(b"").digest(),
}  # fmt: skip


@pytest.fixture
def terms(shop):
    """Return the manifest of a round whose roster of twelve is countersigned, and its digest."""
    phones = [shop.phone() for _ in range(12)]
    for phone in phones:
        shop.grant(phone, "analytics")
    issuer = shop.issuer("analytics")
    keys = [shop.tickets(phone, issuer)[0] for phone in phones]
    manifest = shop.manifest(issuer, most_cohort=20, honest=10)
    digest = shop.announce(manifest)
    assert shop.countersign(shop.roster("round-1", digest, keys)).status_code == 200
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


@pytest.mark.parametrize("outcome", ["released", "withheld", "burnt", "aborted", "aborted: too few devices"])
def test_every_true_end_is_logged(shop, terms, outcome):
    assert shop.post(PATH, shop.evidence(*terms, outcome)).status_code == 200


def test_a_round_may_be_aborted_before_its_roster_was_taken(shop, terms):
    nobody = hashlib.sha256(b"").digest()
    signed = shop.evidence(*terms, "aborted", ticket_root=nobody, cohort=0, threshold=0, survivors=nobody)
    assert shop.post(PATH, signed).status_code == 200


def test_an_auditor_holds_evidence_against_manifest_and_roster(shop, terms):
    manifest, digest = terms
    roster: Roster = shop.rosters["round-1"]
    leaf = leaf_of(shop.evidence(manifest, digest, "released"))
    require_consistent(leaf, manifest, digest, roster.head())
    for field, value in WRONG.items():
        wrong = leaf_of(shop.evidence(manifest, digest, "released", **{field: value}))
        with pytest.raises(ServerError, match="does not fit"):
            require_consistent(wrong, manifest, digest, roster.head())
    with pytest.raises(ServerError, match="manifest is"):
        require_consistent(leaf, manifest, bytes(32), roster.head())


def test_an_auditor_holds_the_release_and_the_survivors_against_evidence(shop, terms):
    leaf = leaf_of(shop.evidence(*terms, "released"))
    keys = [advert.round_key for advert in shop.rosters["round-1"].adverts]
    require_release(leaf, b"a signed release")
    require_survivors(leaf, keys)
    with pytest.raises(ServerError, match="another release"):
        require_release(leaf, b"another release")
    with pytest.raises(ServerError, match="another survivor set"):
        require_survivors(leaf, keys[1:])
    assert leaf.survivors != leaf.ticket_root
