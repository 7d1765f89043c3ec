"""A step of a training, as a phone holds it against its plan, the step before, and its owner's budget."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from covey_models import Catalogue
from covey_models.recommender import steps
from covey_models.recommender.on_device import Base
from covey_privacy import wire
from covey_privacy.catalogue_document import Listing, sign_listing
from covey_privacy.errors import BudgetError, ServerError
from covey_privacy.floors import TEST
from covey_privacy.manifest import FIRST, sign_manifest
from covey_privacy.registry_messages import Issuer
from covey_privacy.release import Array, Release, sign_release
from covey_privacy.signatures import digest_of
from covey_sdk import Device
from covey_sdk.manifest_check import OpenedManifest, check_manifest
from covey_sdk.round_records import read_joined
from covey_server.plan import Admission, Chain, RoundPolicy, manifest_for
from covey_server.questions import plan_training
from covey_server.round_terms import CommitteePolicy, Durations, Population

ITEMS = tuple(f"item {place}" for place in range(12))
CATALOGUE = Catalogue(ITEMS)
PURPOSES = ("personalize", "train")
EPSILON = 3.0
PEOPLE = 30
DURATIONS = Durations(60, 3600, 60, 60)
DELTA, BOOT = 1e-6, b"b" * 32
ARRAYS = {"popularity": np.full(12, 1 / 12), "rate": np.full(12, 0.25)}


@pytest.fixture
def plan(monkeypatch):
    """Three steps that cost EPSILON together."""
    monkeypatch.setattr("covey_models.recommender.release.WORTH_THREE_SUMS", 0)
    return plan_training(EPSILON, PEOPLE, len(ITEMS), DELTA)


@pytest.fixture
def shop(running):
    with running(epsilon={"train": EPSILON}, epsilon_total=9.0, slots=4) as shop:
        yield shop


@pytest.fixture
def issuer(shop, clock) -> Issuer:
    epoch = int(clock.now.timestamp()) // 86_400
    return wire.decode(Issuer, shop.http.get(f"/v1/issuers/{epoch}/{'+'.join(PURPOSES)}").content)


@pytest.fixture
def phone(opened, shop) -> Device:
    """A device whose owner allows training."""
    device = opened(floors=TEST, trust=shop.trust_with_organisations)
    device.enrol()
    for purpose in PURPOSES:
        device.grant(purpose)
    return device


@pytest.fixture
def documents(shop):
    """The listing, and the release of the first step over it."""
    listing = sign_listing(Listing(1, ITEMS, ()), shop.operator)
    arrays = tuple(Array.from_numpy(name, values) for name, values in ARRAYS.items())
    below = (hashlib.sha256(listing).digest(),)
    return listing, sign_release(Release("p1-base", 1, "p1-base-1", (), arrays, below), shop.operator)


def gram():
    return steps.gram_step(CATALOGUE, Base(*(Array.from_numpy("", each).values for each in ARRAYS.values())))


@pytest.fixture
def terms(plan, issuer, documents, organisations, clock):
    """Return the manifest of a step of the plan, 0 or 1."""
    committees = CommitteePolicy(organisations, drawn=False, gamma=0.05, lost=0.0, turnout=1.0)
    policy = RoundPolicy(TEST, DELTA, committees, DURATIONS)
    windows = DURATIONS.windows_from(int(clock.now.timestamp()))

    def terms(number=0, previous=FIRST, **changes):
        question = gram() if number else steps.base_step(CATALOGUE)
        step, chain = plan.steps[number], Chain(plan, number, previous)
        below = documents[: number + 1]
        admission = Admission(issuer.keys, number + 1, Population(PEOPLE, PEOPLE))
        round_id = f"{question.id}-1"
        made = manifest_for(
            question, step, EPSILON, round_id, admission, below, policy, windows, bytes(32), chain
        )
        return replace(made, **changes)

    return terms


@pytest.fixture
def invite(shop, documents, issuer):
    """Sign a manifest, log it, and let a phone contribute, or only prepare; return the manifest's digest."""

    def invite(phone, manifest, log=True, step="contribute"):
        signed = sign_manifest(manifest, shop.operator)
        if log:
            shop.log(signed)
        phone.ticket_fetcher().fetch(manifest.epoch, PURPOSES)
        files = shop.round_files(signed, issuer.keys, *documents[: manifest.step + 1])
        getattr(phone.round_client(boot_id=BOOT), step)(files)
        return digest_of(signed)

    return invite


def joined(phone, round_id) -> bool:
    return read_joined(phone.store, round_id) is not None


def checked(manifest, documents):
    question = gram() if manifest.query == steps.GRAM else steps.base_step(CATALOGUE)
    below = documents[: len(question.builds_on)]
    check_manifest(OpenedManifest(manifest, bytes(32)), question, below, TEST)


class TestPlan:
    def test_the_steps_of_an_honest_plan_pass(self, terms, documents):
        checked(terms(), documents)
        checked(terms(1, bytes([1]) * 32), documents)

    @pytest.mark.parametrize(
        ("changes", "says"),
        [
            ({"step": 1, "previous": b"x" * 32}, "not step 1 of its own plan"),
            ({"step": 3, "previous": b"x" * 32}, "not step 3 of its own plan"),
            ({"previous": b"x" * 32}, "follows no manifest"),
            ({"plan": None, "step": 1}, "states no plan"),
            ({"plan": None, "previous": b"x" * 32}, "states no plan"),
        ],
    )
    def test_a_round_is_the_step_that_it_says(self, terms, documents, changes, says):
        with pytest.raises(ServerError, match=says):
            checked(terms(**changes), documents)

    def test_a_later_step_names_the_one_before(self, terms, documents):
        with pytest.raises(ServerError, match="follows no manifest, and every later one does"):
            checked(terms(1, FIRST), documents)

    def test_less_noise_than_the_plan_says_is_another_step(self, terms, documents):
        manifest = terms()
        sigma = manifest.sigma * 0.99
        less = replace(manifest.terms, steps=sigma * manifest.scale)
        with pytest.raises(ServerError, match="not step 0 of its own plan"):
            checked(replace(manifest, sigma=sigma, terms=less), documents)
        with pytest.raises(ServerError, match="not step 0 of its own plan"):
            checked(replace(manifest, bits=manifest.bits + 1), documents)

    def test_a_plan_costs_no_more_than_it_says(self, terms, documents, plan):
        with pytest.raises(ServerError, match=r"the plan claims epsilon 2\.9; its steps cost 3 together"):
            checked(terms(plan=replace(plan, epsilon=2.9)), documents)

    def test_one_step_too_many_costs_too_much(self, terms, documents, plan):
        longer = replace(plan, steps=(*plan.steps, plan.steps[-1]))
        with pytest.raises(ServerError, match="the plan claims epsilon 3"):
            checked(terms(plan=longer), documents)

    def test_a_step_with_hardly_any_noise_is_found_in_the_plan(self, terms, documents, plan):
        """The round at hand is as stated; a later one would tell everything."""
        bare = (*plan.steps[:2], replace(plan.steps[2], sigma=0.01))
        with pytest.raises(ServerError, match="its steps cost"):
            checked(terms(plan=replace(plan, steps=bare)), documents)
        silent = (*plan.steps[:2], replace(plan.steps[2], sigma=0.0))
        with pytest.raises(ServerError, match="the plan's noise makes no sense"):
            checked(terms(plan=replace(plan, steps=silent)), documents)


class TestChain:
    def test_a_phone_goes_on_with_the_plan_that_it_joined(self, phone, terms, invite):
        first = invite(phone, terms())
        invite(phone, terms(1, first))
        assert joined(phone, "p1-base-1")
        assert joined(phone, "p1-gram-1")

    def test_a_plan_that_changes_on_the_way_is_refused(self, phone, terms, invite, plan):
        first = invite(phone, terms())
        cheaper = replace(plan, steps=(*plan.steps[:2], replace(plan.steps[2], sigma=99.0)))
        with pytest.raises(ServerError, match="plan has changed since the step before"):
            invite(phone, terms(1, first, plan=cheaper), log=False)
        assert not joined(phone, "p1-gram-1")

    def test_a_step_is_not_left_out(self, phone, terms, invite, plan):
        """Step 1 said to be step 2 of the same plan, which it fits: the step before was 0."""
        twice = replace(plan, steps=(plan.steps[0], *[plan.steps[1]] * 2))
        first = invite(phone, terms(plan=twice))
        with pytest.raises(ServerError, match="plan has changed since the step before"):
            invite(phone, terms(1, first, plan=twice, step=2), log=False)

    def test_who_was_not_in_the_step_before_may_come_later(self, phone, terms, invite, shop):
        before = sign_manifest(terms(), shop.operator)
        shop.log(before)
        invite(phone, terms(1, digest_of(before)))
        assert joined(phone, "p1-gram-1")

    def test_other_documents_than_those_it_rests_on_are_refused(self, phone, terms, shop, documents, issuer):
        listing, base = documents
        signed = sign_manifest(terms(1, b"x" * 32), shop.operator)
        other = sign_listing(Listing(2, ITEMS, ()), shop.operator)
        for wrong, says in (
            ((other, base), "rests on other documents"),
            ((listing,), "1 documents came"),
            ((listing, b"x"), "cannot be answered"),
            ((base, listing), "cannot be answered"),
        ):
            with pytest.raises(ServerError, match=says):
                phone.round_client().prepare(shop.round_files(signed, issuer.keys, *wrong))


class TestRoom:
    def test_the_whole_plan_needs_room_before_its_first_step(self, phone, terms, invite, plan):
        """The first step alone would fit beside what was spent; all three do not, and none is joined."""
        manifest, now = terms(), phone.clock.now()
        other = replace(plan.steps[0], sigma=plan.steps[0].sigma * 2)
        phone.odometer.charge("another", "train", other.mechanism, now)
        phone.odometer.require_room((manifest.charge,), now)
        with pytest.raises(BudgetError, match=r"'train' to epsilon 3\.\d+; the cap is 3"):
            invite(phone, manifest)
        assert not joined(phone, manifest.round_id)
        assert [each.round_id for each in phone.odometer.charges(now)] == ["another"]

    def test_a_plan_that_fits_exactly_is_prepared(self, phone, terms, invite):
        invite(phone, terms(), step="prepare")
        assert phone.odometer.charges(phone.clock.now()) == ()

    def test_a_later_step_needs_room_for_what_is_left(self, phone, terms, invite):
        first = invite(phone, terms())
        invite(phone, terms(1, first))
        again = replace(terms(1, first), round_id="p1-gram-2")
        with pytest.raises(BudgetError):
            invite(phone, again)
