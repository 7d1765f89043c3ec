import dataclasses
import hashlib

import pytest

from covey_consent.cosigners import Cosigners
from covey_privacy import annex, evidence, manifest, wire
from covey_privacy.consent import LEAF_EVIDENCE, LEAF_MANIFEST, LEAF_ROSTER
from covey_privacy.errors import ServerError
from covey_privacy.five_phases.roster import ROUND_ROSTER, Countersigned, Logged, Roster
from covey_privacy.signatures import Signed, SigningKey, digest_of, open_signed, sign, to_sign


@pytest.fixture
def issuer(shop):
    return shop.issuer("analytics")


@pytest.fixture
def wallets(shop, issuer):
    """Four phones' tickets."""
    phones = [shop.phone() for _ in range(4)]
    for phone in phones:
        shop.grant(phone, "analytics")
    return [shop.tickets(phone, issuer) for phone in phones]


@pytest.fixture
def terms(shop, issuer):
    return shop.manifest(issuer)


@pytest.fixture
def digest(shop, wallets, terms):
    return shop.announce(terms)


@pytest.fixture
def roster(shop, wallets, digest):
    return shop.roster("round-1", digest, [wallet[0] for wallet in wallets])


def countersigned(answer) -> Countersigned:
    assert answer.status_code == 200, answer.text
    return wire.decode(Countersigned, answer.content)


def test_a_manifest_is_logged_once(shop, terms):
    signed = manifest.sign_manifest(terms, shop.operator)
    first, again = (wire.decode(Logged, shop.post("/v1/rounds", signed).content) for _ in range(2))
    assert first == again
    assert shop.entries()[first.index] == LEAF_MANIFEST + signed
    assert shop.checkpoint().size == first.index + 1


def test_an_announcement_waits_for_the_witnesses_of_its_head(shop, terms, monkeypatch):
    waited = []

    async def settle(witnesses):
        waited.append(witnesses._log.head.size)

    monkeypatch.setattr(Cosigners, "settle", settle)
    shop.announce(terms)
    assert waited == [shop.checkpoint().size]


def test_a_round_id_has_one_manifest(shop, terms, problem):
    shop.announce(terms)
    other = manifest.sign_manifest(dataclasses.replace(terms, length=9), shop.operator)
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
def first(terms):
    """The first of two steps of a plan."""
    plan = manifest.Plan(1.0, (terms.as_step, dataclasses.replace(terms.as_step, sigma=20.0)))
    return dataclasses.replace(terms, plan=plan)


def after(before, digest, **changes):
    (*_, second) = before.plan.steps
    fields = {"round_id": "round-2", "sigma": second.sigma, "step": 1, "previous": digest, **changes}
    return dataclasses.replace(before, **fields)


def test_the_steps_of_a_plan_are_logged_one_after_the_other(shop, first):
    second = after(first, shop.announce(first))
    assert shop.announce(second) == shop.announce(second)


def test_a_step_follows_a_logged_manifest(shop, first, problem):
    digest = digest_of(manifest.sign_manifest(first, shop.operator))
    signed = manifest.sign_manifest(after(first, digest), shop.operator)
    logged = len(shop.entries())
    assert "names no such logged" in problem(shop.post("/v1/rounds", signed), 409)
    assert len(shop.entries()) == logged
    shop.announce(first)
    assert shop.post("/v1/rounds", signed).status_code == 200


def test_a_step_follows_the_step_before_of_the_same_plan(shop, first, terms, problem):
    def refused(later):
        signed = manifest.sign_manifest(later, shop.operator)
        return "names no such logged" in problem(shop.post("/v1/rounds", signed), 409)

    digest = shop.announce(first)
    cheaper = dataclasses.replace(first.plan, epsilon=0.5)
    assert refused(after(first, digest, plan=cheaper))
    longer = dataclasses.replace(first.plan, steps=(*first.plan.steps, first.plan.steps[1]))
    assert refused(after(first, digest, plan=longer))
    assert refused(after(dataclasses.replace(first, plan=longer), digest, step=2))
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
    wrong = dataclasses.replace(first, round_id="round-2", **changes)
    assert says in problem(shop.post("/v1/rounds", manifest.sign_manifest(wrong, shop.operator)), 422)


PRODUCTION = {
    "profile": "production",
    "least_cohort": 200,
    "most_cohort": 400,
    "least_issued": 200,
    "least_cell": 50,
    "gamma": 0.05,
    "dropout": 0.05,
    "honest": 179,
}


@pytest.mark.parametrize(
    ("name", "less"), [("least_issued", 0), ("least_issued", 199), ("least_cohort", 199), ("least_cell", 49),
                       ("gamma", 0.04), ("dropout", 0.06), ("honest", 1), ("honest", 178)],
)  # fmt: skip
def test_a_round_of_production_states_its_profiles_floors(shop, terms, problem, name, less):
    known = dataclasses.replace(terms, **PRODUCTION)
    logged = len(shop.entries())
    signed = manifest.sign_manifest(dataclasses.replace(known, **{name: less}), shop.operator)
    said = problem(shop.post("/v1/rounds", signed), 422)
    assert f"{name} is {less}" in said
    assert len(shop.entries()) == logged
    shop.announce(known)


def test_other_profiles_are_for_phones_that_were_opened_with_them(shop, terms):
    shop.announce(dataclasses.replace(terms, profile="laboratory"))


def test_only_the_operator_announces(shop, terms, problem):
    problem(shop.post("/v1/rounds", manifest.sign_manifest(terms, SigningKey(b"x" * 32))), 403)


def test_without_an_operator_every_round_is_refused(opened, terms, tmp_path, problem):
    with opened(operator=None, database_url=f"sqlite:///{tmp_path}/other.db") as shop:
        signed = manifest.sign_manifest(terms, shop.operator)
        assert "COVEY_REGISTRY_OPERATOR" in problem(shop.post("/v1/rounds", signed), 403)


def test_a_roster_is_countersigned_and_logged(shop, roster):
    answer = countersigned(shop.countersign(roster))
    assert (answer.issued, answer.bad, answer.spent) == (4, (), ())
    assert len(roster.head().beacon(answer.signature, shop.registry.public)) == 32
    assert shop.entries()[-1] == LEAF_ROSTER + wire.encode(roster.head())


def test_the_same_roster_has_the_same_answer_and_a_second_none(shop, roster, wallets, digest, problem):
    first = shop.countersign(roster)
    assert shop.countersign(roster).content == first.content
    second = shop.roster("round-1", digest, [wallet[1] for wallet in wallets])
    problem(shop.countersign(second), 409)
    smaller = dataclasses.replace(roster, adverts=roster.adverts[:3])
    problem(shop.countersign(smaller), 409)


def test_a_ticket_is_good_for_one_round(shop, issuer, digest, wallets):
    """Two rounds of one slot, which a coordinator would not plan, share its tickets."""
    countersigned(shop.countersign(shop.roster("round-1", digest, [wallet[0] for wallet in wallets[:2]])))
    other = shop.announce(shop.manifest(issuer, round_id="round-2"))
    again = shop.roster("round-2", other, [wallets[0][0], wallets[2][0], wallets[3][0]])
    answer = countersigned(shop.countersign(again))
    assert (answer.signature, answer.spent) == (b"", (wallets[0][0].ticket.round_key,))
    fresh = shop.roster("round-2", other, [wallets[2][0], wallets[3][0]])
    assert countersigned(shop.countersign(fresh)).signature


def test_bad_adverts_are_named_and_nothing_is_spent(shop, roster, wallets, digest):
    forged = dataclasses.replace(roster.adverts[0], seed_digest=b"x" * 32)
    stolen = shop.advert(dataclasses.replace(wallets[0][0], secret=b"x" * 32), digest)
    minted = dataclasses.replace(wallets[1][0].ticket, signature=bytes(256))
    self_made = shop.advert(dataclasses.replace(wallets[1][0], ticket=minted), digest)
    for bad in (forged, stolen, self_made):
        others = [advert for advert in roster.adverts if advert.round_key != bad.round_key][:3]
        answer = countersigned(shop.countersign(Roster.of("round-1", digest, [*others, bad])))
        assert (answer.signature, answer.bad, answer.spent) == (b"", (bad.round_key,), ())
    assert countersigned(shop.countersign(roster)).signature


def test_an_advert_for_another_manifest_is_bad(shop, issuer, wallets, digest):
    other = shop.announce(shop.manifest(issuer, round_id="round-2"))
    adverts = [shop.advert(wallets[0][0], digest), shop.advert(wallets[1][0], other)]
    answer = countersigned(shop.countersign(Roster.of("round-1", digest, adverts)))
    assert answer.bad == (wallets[1][0].ticket.round_key,)


@pytest.mark.parametrize("place", [1, 2, 3])
def test_tickets_of_another_slot_or_role_are_bad(shop, wallets, digest, place):
    other = wallets[1][place]
    answer = countersigned(shop.countersign(shop.roster("round-1", digest, [wallets[0][0], other])))
    assert (answer.signature, answer.bad) == (b"", (other.ticket.round_key,))


def test_tickets_of_another_purpose_set_are_bad(shop, wallets, digest):
    phone = shop.phone()
    foreign = shop.tickets(phone, shop.issuer("core"))[0]
    answer = countersigned(shop.countersign(shop.roster("round-1", digest, [wallets[0][0], foreign])))
    assert answer.bad == (foreign.ticket.round_key,)


@pytest.mark.parametrize("size", [1, 5])
def test_a_roster_has_the_size_that_the_manifest_takes(shop, wallets, digest, problem, size):
    keys = [key for wallet in wallets for key in wallet][:size]
    problem(shop.countersign(shop.roster("round-1", digest, keys)), 422)


def test_a_roster_waits_until_enough_batches_were_issued(shop, issuer, wallets, problem):
    digest = shop.announce(shop.manifest(issuer, round_id="round-3", least_issued=5))
    roster = shop.roster("round-3", digest, [wallet[0] for wallet in wallets])
    assert "asks for 5" in problem(shop.countersign(roster), 409)
    phone = shop.phone()
    shop.grant(phone, "analytics")
    shop.tickets(phone, issuer)
    assert countersigned(shop.countersign(roster)).issued == 5


def test_a_roster_is_for_its_round_and_manifest(shop, roster, wallets, problem):
    problem(shop.countersign(dataclasses.replace(roster, round_id="round-9")), 404)
    problem(shop.countersign(shop.roster("round-1", bytes(32), [wallet[0] for wallet in wallets])), 422)
    backwards = dataclasses.replace(roster, adverts=roster.adverts[::-1])
    problem(shop.countersign(backwards), 422)
    twice = dataclasses.replace(roster, adverts=(roster.adverts[0], *roster.adverts[:2]))
    problem(shop.countersign(twice), 422)


def test_only_the_operator_brings_a_roster(shop, roster, problem):
    problem(shop.countersign(roster, SigningKey(b"x" * 32)), 403)
    body = wire.encode(roster)
    problem(shop.post("/v1/rounds/round-1/roster", body), 422)
    problem(shop.post("/v1/rounds/round-1/roster", body, **{"covey-signature": "no hex"}), 422)


def test_a_roster_goes_to_its_own_address(shop, roster, problem):
    body = wire.encode(roster)
    signature = shop.operator.sign(to_sign(ROUND_ROSTER, hashlib.sha256(body).digest()))
    answer = shop.post("/v1/rounds/round-2/roster", body, **{"covey-signature": signature.hex()})
    problem(answer, 404)


def test_tickets_die_with_their_epoch(shop, roster, problem):
    shop.clock.now = (shop.clock.epoch + 1) * 86400 + 301
    problem(shop.countersign(roster), 409)
    shop.clock.now -= 2
    assert countersigned(shop.countersign(roster)).signature


def test_a_countersignature_outlives_a_restart(opened, problem):
    with opened() as shop:
        issuer = shop.issuer("core")
        wallets = [shop.tickets(shop.phone(), issuer) for _ in range(2)]
        digest = shop.announce(shop.manifest(issuer, purpose="core"))
        roster = shop.roster("round-1", digest, [wallet[0] for wallet in wallets])
        first = shop.countersign(roster).content
    with opened() as shop:
        assert shop.countersign(roster).content == first
        problem(shop.countersign(shop.roster("round-1", digest, [wallet[1] for wallet in wallets])), 409)


def test_evidence_is_logged_once_after_the_roster(shop, terms, digest, roster, problem):
    signed = shop.evidence(terms, digest, "released")
    problem(shop.post("/v1/rounds/round-1/evidence", signed), 409)
    countersigned(shop.countersign(roster))
    signed = shop.evidence(terms, digest, "released")
    first, again = (shop.post("/v1/rounds/round-1/evidence", signed) for _ in range(2))
    assert first.content == again.content
    index = wire.decode(Logged, first.content).index
    assert shop.entries()[index] == LEAF_EVIDENCE + signed
    problem(shop.post("/v1/rounds/round-1/evidence", shop.evidence(terms, digest, "aborted")), 409)


def test_the_annex_opens_against_the_logged_evidence(shop, terms, digest, roster):
    countersigned(shop.countersign(roster))
    answer = shop.post("/v1/rounds/round-1/evidence", shop.evidence(terms, digest, "released"))
    entry = shop.entries()[wire.decode(Logged, answer.content).index]
    leaf = open_signed(evidence.Evidence, evidence.CONTEXT, entry[1:], shop.operator.public)
    key, figures = annex.key(shop.operator, "round-1"), shop.annex(terms)
    assert annex.audit(annex.seal(figures, key), key, leaf) == figures
    other = dataclasses.replace(figures, survivors=3)
    with pytest.raises(ServerError, match="not the one"):
        annex.audit(annex.seal(other, key), key, leaf)


def test_a_round_that_was_aborted_is_over(shop, terms, digest, roster, problem):
    aborted = shop.evidence(terms, digest, "aborted: too few")
    assert shop.post("/v1/rounds/round-1/evidence", aborted).status_code == 200
    problem(shop.countersign(roster), 409)


def test_evidence_is_the_operators_for_its_own_round(shop, terms, digest, problem):
    path = "/v1/rounds/round-1/evidence"
    problem(shop.post(path, shop.evidence(terms, bytes(32), "aborted")), 422)
    elsewhere = shop.evidence(dataclasses.replace(terms, round_id="round-7"), digest, "aborted")
    problem(shop.post(path, elsewhere), 422)
    problem(shop.post("/v1/rounds/round-7/evidence", elsewhere), 404)
    leaf = wire.decode(evidence.Evidence, wire.decode(Signed, elsewhere).body)
    problem(shop.post(path, sign(evidence.CONTEXT, leaf, SigningKey(b"x" * 32))), 403)
