"""How a round begins and ends at the registry: its manifest and its evidence, each logged once."""

import dataclasses
import hashlib

import pytest
from registry_players import sign_sets

from covey_consent.transparency.cosigners import Cosigners
from covey_privacy import evidence, manifest, merkle, sealed_figures, wire
from covey_privacy.errors import ServerError
from covey_privacy.evidence import ABORTED, BURNT, RELEASED, WITHHELD
from covey_privacy.registry_messages import LEAF_EVIDENCE, LEAF_MANIFEST, LogIndex
from covey_privacy.signatures import Signed, SigningKey, digest_of, open_signed, sign

PATH = "/v1/rounds/round-1/evidence"


@pytest.fixture
def terms(shop):
    return shop.manifest(shop.issuer("analytics"))


@pytest.fixture
def digest(shop, terms):
    return shop.announce(terms)


def index_in(answer):
    assert answer.status_code == 200, answer.text
    return wire.decode(LogIndex, answer.content).index


def test_a_manifest_is_logged_once(shop, terms):
    signed = manifest.sign_manifest(terms, shop.operator)
    first, again = (index_in(shop.post("/v1/rounds", signed)) for _ in range(2))
    assert first == again
    assert shop.entries()[first] == LEAF_MANIFEST + signed
    assert shop.checkpoint().size == first + 1


def test_an_announcement_waits_for_the_witnesses_of_its_head(shop, terms, monkeypatch):
    waited = []

    async def settle(witnesses):
        waited.append(witnesses._log.head.size)
        return waited[-1]

    monkeypatch.setattr(Cosigners, "settle", settle)
    shop.announce(terms)
    announced = list(waited)
    assert announced == [shop.checkpoint().size]


def test_a_round_id_has_one_manifest(shop, terms, problem):
    shop.announce(terms)
    other = manifest.sign_manifest(shop.fit(terms, length=9), shop.operator)
    problem(shop.post("/v1/rounds", other), 409)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"issuer": bytes(32)}, 422),
        ({"slot": 0}, 422),
        ({"slot": 3}, 422),
        ({"epoch": 1}, 422),
        ({"epoch": 2**64 - 1}, 422),
        ({"purposes": ("analytics", "train")}, 422),
        ({"purposes": ("analytics", "resale")}, 404),
        ({"purposes": ()}, 422),
        ({"purpose": "train"}, 422),
    ],
)
def test_a_manifest_names_a_logged_issuer_of_its_own_set(shop, terms, problem, changes, status):
    signed = manifest.sign_manifest(dataclasses.replace(terms, **changes), shop.operator)
    problem(shop.post("/v1/rounds", signed), status)


@pytest.fixture
def first(shop, terms):
    """The first of two steps of a plan."""
    plan = manifest.Plan(1.0, (terms.as_step, dataclasses.replace(terms.as_step, sigma=20.0)))
    return shop.fit(terms, plan=plan)


@pytest.fixture
def after(shop):
    """`after(before, digest, **changes)`: the step after one of a plan, which has this digest."""

    def after(before, digest, **changes):
        (*_, second) = before.plan.steps
        fields = {"round_id": "round-2", "sigma": second.sigma, "step": 1, "previous": digest, **changes}
        return shop.fit(before, **fields)

    return after


def test_the_steps_of_a_plan_are_logged_one_after_the_other(shop, first, after):
    second = after(first, shop.announce(first))
    assert shop.announce(second) == shop.announce(second)


def test_a_step_follows_a_logged_manifest(shop, first, after, problem):
    digest = digest_of(manifest.sign_manifest(first, shop.operator))
    signed = manifest.sign_manifest(after(first, digest), shop.operator)
    logged = len(shop.entries())
    assert "names no such logged" in problem(shop.post("/v1/rounds", signed), 409)
    assert len(shop.entries()) == logged
    shop.announce(first)
    assert shop.post("/v1/rounds", signed).status_code == 200


def test_a_step_follows_the_step_before_of_the_same_plan(shop, first, after, terms, problem):
    def refused(later):
        signed = manifest.sign_manifest(later, shop.operator)
        return "names no such logged" in problem(shop.post("/v1/rounds", signed), 409)

    digest = shop.announce(first)
    cheaper = dataclasses.replace(first.plan, epsilon=0.5)
    assert refused(after(first, digest, plan=cheaper))
    longer = dataclasses.replace(first.plan, steps=(*first.plan.steps, first.plan.steps[1]))
    assert refused(after(first, digest, plan=longer))
    assert refused(after(shop.fit(first, plan=longer), digest, step=2))
    alone = shop.announce(dataclasses.replace(terms, round_id="round-3"))
    assert refused(after(first, alone))
    second = shop.announce(after(first, digest))
    assert refused(after(first, second, round_id="round-4"))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"sigma": 9.0}, "not step 0 of its own plan"),
        ({"length": 16}, "not step 0 of its own plan"),
        ({"step": 2, "previous": b"x" * 32}, "not step 2 of its own plan"),
        ({"previous": b"x" * 32}, "follows no manifest"),
        ({"step": 1, "sigma": 20.0}, "follows no manifest"),
        ({"plan": None, "step": 1}, "states no plan"),
        ({"plan": None, "previous": b"x" * 32}, "states no plan"),
    ],
)
def test_a_manifest_is_the_step_that_it_says(shop, first, problem, changes, says):
    shop.announce(first)
    wrong = shop.fit(first, round_id="round-2", **changes)
    assert says in problem(shop.post("/v1/rounds", manifest.sign_manifest(wrong, shop.operator)), 422)


def test_a_round_is_accounted_at_no_greater_delta_than_the_notices(shop, terms, problem):
    most = min(notice.delta for notice in shop.notices().values())
    wrong = manifest.sign_manifest(dataclasses.replace(terms, delta=most * 1.01), shop.operator)
    assert "the notices promise" in problem(shop.post("/v1/rounds", wrong), 422)
    shop.announce(dataclasses.replace(terms, delta=most))


def test_only_the_operator_announces(shop, terms, problem):
    problem(shop.post("/v1/rounds", manifest.sign_manifest(terms, SigningKey(b"x" * 32))), 403)


def test_without_an_operator_every_round_is_refused(opened, terms, tmp_path, problem):
    with opened(operator=None, database_url=f"sqlite:///{tmp_path}/other.db") as shop:
        signed = manifest.sign_manifest(terms, shop.operator)
        assert "COVEY_REGISTRY_OPERATOR" in problem(shop.post("/v1/rounds", signed), 403)


def test_evidence_is_logged_once_after_the_final_set(shop, terms, digest, problem):
    early = shop.evidence(terms, digest, RELEASED)
    assert "no signed final set" in problem(shop.post(PATH, early), 409)
    sign_sets(shop, terms, digest, 27, 15)
    signed = shop.evidence(terms, digest, RELEASED)
    first, again = (index_in(shop.post(PATH, signed)) for _ in range(2))
    assert first == again
    assert shop.entries()[first] == LEAF_EVIDENCE + signed
    assert shop.checkpoint().size == first + 1
    for outcome, changes in ((ABORTED, {}), (RELEASED, {"epsilon_so_far": 1.0})):
        assert "given once" in problem(shop.conclude(terms, digest, outcome, **changes), 409)
    assert shop.checkpoint().size == first + 1


def test_evidence_outlives_a_restart(opened, problem):
    with opened() as shop:
        terms = shop.manifest(shop.issuer("core"), purpose="core")
        digest = shop.announce(terms)
        sign_sets(shop, terms, digest, 6, 6)
        signed = shop.evidence(terms, digest, WITHHELD)
        first = index_in(shop.post(PATH, signed))
    with opened() as shop:
        assert index_in(shop.post(PATH, signed)) == first
        problem(shop.conclude(terms, digest, BURNT), 409)


WRONG = {
    "query": "q20", "purposes": ("analytics", "personalize"), "profile": "production", "model": b"x" * 32,
    "norm": 2.0, "sigma": 99.0, "epsilon": 0.01, "delta": 1e-12, "honest": 2, "least_issued": 0,
    "included": b"x" * 32, "final": b"x" * 32, "cohort": 27, "excluded": 12, "committees": (),
    "epsilon_so_far": 0.01, "release": bytes(32),
}  # fmt: skip
"""Each contradicts the manifest, the signed sets of 27 and 15 members, or the outcome."""


@pytest.mark.parametrize("field", WRONG)
def test_evidence_repeats_what_was_logged(shop, terms, digest, problem, field):
    sign_sets(shop, terms, digest, 27, 15)
    before = shop.checkpoint()
    answer = shop.conclude(terms, digest, RELEASED, **{field: WRONG[field]})
    assert "the evidence of round 'round-1' does not fit" in problem(answer, 422)
    assert shop.checkpoint() == before
    leaf = wire.decode(evidence.Evidence, wire.decode(Signed, shop.evidence(terms, digest, RELEASED)).body)
    assert (leaf.cohort, leaf.excluded) == (20, 10)
    index_in(shop.conclude(terms, digest, RELEASED))


def changed(shop, terms, digest, **changes):
    """Return the committees of evidence that fits, the first of them with changes."""
    leaf = wire.decode(evidence.Evidence, wire.decode(Signed, shop.evidence(terms, digest, RELEASED)).body)
    return (dataclasses.replace(leaf.committees[0], **changes), *leaf.committees[1:])


@pytest.mark.parametrize(
    "changes", [{"members": 5}, {"threshold": 3}, {"kind": 2}, {"opened": 1}, {"opened": 5}]
)
def test_evidence_states_the_committees_of_the_manifest(shop, terms, digest, problem, changes):
    sign_sets(shop, terms, digest, 6, 6)
    wrong = changed(shop, terms, digest, **changes)
    problem(shop.conclude(terms, digest, RELEASED, committees=wrong), 422)
    fewest = changed(shop, terms, digest, opened=2)
    problem(shop.conclude(terms, digest, RELEASED, committees=fewest), 422)
    index_in(shop.conclude(terms, digest, RELEASED, committees=fewest, integrity_proved=False))


@pytest.mark.parametrize("decryptor", [0, 5])
def test_complaints_are_of_organisations_that_have_a_seat(shop, terms, digest, problem, decryptor):
    sign_sets(shop, terms, digest, 6, 6)
    wrong = (evidence.ComplaintCount(decryptor, 1),)
    assert "no seat" in problem(shop.conclude(terms, digest, RELEASED, complaints=wrong), 422)


@pytest.mark.parametrize("outcome", [RELEASED, WITHHELD, BURNT, ABORTED, "aborted: too few answers"])
def test_every_end_of_a_round_with_a_final_set_is_logged(shop, terms, digest, outcome):
    sign_sets(shop, terms, digest, 6, 6)
    index_in(shop.conclude(terms, digest, outcome))


@pytest.mark.parametrize("outcome", [WITHHELD, BURNT, RELEASED])
def test_without_a_final_set_a_round_can_only_be_aborted(shop, terms, digest, problem, outcome):
    sign_sets(shop, terms, digest, 6)
    assert "no signed final set" in problem(shop.conclude(terms, digest, outcome), 409)
    index_in(shop.conclude(terms, digest, "aborted: the check took too long"))


@pytest.mark.parametrize("sizes", [(), (6,), (6, 6)])
def test_an_aborted_round_states_the_sets_that_its_coordinator_took(shop, terms, digest, sizes):
    """A registry may have signed one whose answer never arrived."""
    sign_sets(shop, terms, digest, *(sizes or (0,)))
    none = {"included": merkle.EMPTY, "final": merkle.EMPTY, "cohort": 0, "excluded": 0, "committees": ()}
    index_in(shop.conclude(terms, digest, ABORTED, **none))


@pytest.mark.parametrize(
    ("outcome", "changes"),
    [
        ("done", {}), ("release", {}), (ABORTED, {"release": b"x" * 32}), (WITHHELD, {"release": b"x" * 32}),
        (BURNT, {"integrity_proved": True}), (ABORTED, {"included": b"x" * 32}),
    ],
)  # fmt: skip
def test_an_outcome_is_a_known_one_and_only_a_release_has_a_hash(
    shop, terms, digest, problem, outcome, changes
):
    sign_sets(shop, terms, digest, 6, 6)
    problem(shop.conclude(terms, digest, outcome, **changes), 422)


def test_a_drawn_committee_has_the_shape_for_the_signed_roster(one_message, play, problem):
    round_ = play(one_message, "both")
    terms, digest = round_.manifest, round_.info.digest
    sign_sets(one_message, terms, digest, 6, 6, volunteers=40)
    shape = terms.terms.drawn_shape(40)
    leaf = wire.decode(
        evidence.Evidence, wire.decode(Signed, one_message.evidence(terms, digest, RELEASED)).body
    )
    assert [each.members for each in leaf.committees] == [4, shape.members]
    for wrong in (leaf.committees[:1], leaf.committees[::-1]):
        problem(one_message.conclude(terms, digest, RELEASED, committees=wrong), 422)
    index_in(one_message.conclude(terms, digest, RELEASED))


def test_the_annex_opens_against_the_logged_evidence(shop, terms, digest):
    sign_sets(shop, terms, digest, 6, 6)
    index = index_in(shop.conclude(terms, digest, RELEASED))
    entry = shop.entries()[index]
    leaf = open_signed(evidence.Evidence, evidence.CONTEXT, entry[1:], shop.operator.public)
    key, figures = sealed_figures.key(shop.operator, "round-1"), shop.annex(terms)
    assert sealed_figures.audit(sealed_figures.seal(figures, key), key, leaf) == figures
    other = dataclasses.replace(figures, final=3)
    with pytest.raises(ServerError, match="not the one"):
        sealed_figures.audit(sealed_figures.seal(other, key), key, leaf)


def test_evidence_is_the_operators_for_its_own_round(shop, terms, digest, problem):
    problem(shop.post(PATH, shop.evidence(terms, bytes(32), ABORTED)), 422)
    elsewhere = dataclasses.replace(
        wire.decode(evidence.Evidence, wire.decode(Signed, shop.evidence(terms, digest, ABORTED)).body),
        round_id="round-7",
    )
    signed = sign(evidence.CONTEXT, elsewhere, shop.operator)
    problem(shop.post(PATH, signed), 422)
    problem(shop.post("/v1/rounds/round-7/evidence", signed), 404)
    problem(shop.post(PATH, sign(evidence.CONTEXT, elsewhere, SigningKey(b"x" * 32))), 403)


def test_evidence_counts_the_sets_of_its_own_round_alone(shop, terms, digest, problem):
    """Another round's sets do not stand in for those that this round lacks."""
    other = shop.fit(terms, round_id="round-2")
    sign_sets(shop, other, shop.announce(other), 6, 6)
    root = hashlib.sha256(b"\1" + digest).digest()
    problem(shop.conclude(terms, digest, RELEASED, included=root, final=root), 409)
