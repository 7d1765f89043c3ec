"""A training from end to end: step after step, people leaving in between; all of it real."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest
from opened_sums import opened_sum

from covey_models import Catalogue
from covey_models.recommender import on_device, release
from covey_models.recommender.on_device import Base
from covey_models.recommender.steps import AXES, BASE, CATALOGUE, GRAM, HALF_STEP, MODEL
from covey_privacy import wire
from covey_privacy.catalogue_document import open_listing
from covey_privacy.errors import AbortError, BudgetError
from covey_privacy.manifest import FIRST
from covey_privacy.release import open_release
from covey_privacy.round_files import RoundFiles
from covey_sdk.errors import ConsentError
from covey_sdk.round_client import RoundClient
from covey_sdk.round_records import JOINED, PREPARED
from covey_server.errors import ConfigError, RoundError
from covey_simulations.devices import household
from covey_simulations.devices.flower_fleet import PhonesBehindNode

EPSILON = 4.0
STEPS = (BASE, GRAM, HALF_STEP)
PURPOSES = ("personalize", "train")
TRAIN = "p1=4.0"


@pytest.fixture
def three_steps(monkeypatch):
    """Let so small a shop be worth all three sums."""
    monkeypatch.setattr(release, "WORTH_THREE_SUMS", 0)


@pytest.fixture
def shop(small_shop):
    return small_shop(purpose="train", slots=4)


@dataclass
class Trained:
    """A training that was played; households 0, 1 and 2 of its shop are for leaving."""

    shop: object
    rounds: list[dict]
    left_early: int

    @property
    def names(self) -> list[str]:
        return [played["round_id"] for played in self.rounds]

    def release(self, name):
        (signed,) = self.shop.stored(lambda store: store.releases([name]))
        return open_release(signed, self.shop.world.trust.operator)

    @property
    def files(self) -> RoundFiles:
        """The files of the last step, as a node has them."""
        (kept,) = self.shop.world.folder.glob(f"node-0/{self.names[-1].encode().hex()}/files")
        return wire.decode(RoundFiles, kept.read_bytes())

    @property
    def catalogue(self) -> Catalogue:
        (signed,) = self.shop.stored(lambda store: store.releases([CATALOGUE]))
        listing = open_listing(signed, self.shop.world.trust.operator)
        return Catalogue(listing.items, listing.taxonomy)

    def total(self, place: int, length: int):
        """A step's noisy sum, and the deviation of its noise, from the log and what was opened."""
        played, manifest = self.rounds[place], self.shop.manifest(self.names[place])
        encoding = manifest.encoding(length, self.shop.manifest_digest(self.names[place]))
        total = encoding.decode(encoding.to_ring(opened_sum(played)))
        return total, manifest.sigma * (played["final"] / manifest.honest) ** 0.5

    def adopt(self, device):
        names = (CATALOGUE, MODEL)
        for name, signed in zip(names, self.shop.stored(lambda store: store.releases(names)), strict=True):
            device.adopt(name, signed)


@pytest.fixture(scope="module")
def trained(lasting_shop):
    """Three steps, each by a coordinator of its own; after the first someone withdraws."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(release, "WORTH_THREE_SUMS", 0)
        shop = lasting_shop(purpose="train", slots=4)
        leaver = shop.world.households[2]
        shop.ask(TRAIN)
        household.withdraw(shop.phones(), [leaver], "train")
        shop.ask(TRAIN)
        rounds = shop.ask(TRAIN)
    return Trained(shop, rounds, leaver)


@pytest.fixture(scope="module")
def alone(lasting_shop):
    """A training of one sum, as so small a shop is worth."""
    shop = lasting_shop(purpose="train", slots=4)
    return Trained(shop, shop.ask(TRAIN), 0)


def opened(shop, place):
    return shop.phones().open(shop.world.households[place])


@pytest.mark.slow
class TestThreeSteps:
    def test_every_sum_is_what_the_ledgers_say_was_sent(self, trained):
        assert [played["query"] for played in trained.rounds] == list(STEPS)
        assert [played["final"] for played in trained.rounds] == [26, 25, 25]
        for played in trained.rounds:
            assert (opened_sum(played) == trained.shop.plain_sum(played["round_id"])).all()

    def test_who_withdrew_between_two_steps_is_in_none_after(self, trained):
        first, *later = (trained.shop.sent(name) for name in trained.names)
        assert trained.left_early in first
        assert not any(trained.left_early in sent for sent in later)

    def test_the_whole_training_costs_at_most_its_epsilon(self, trained):
        shop = trained.shop
        phones = shop.phones()
        for number in shop.world.households:
            with phones.open(number) as device:
                now = device.clock.now()
                spent = device.odometer.spent(now, "train")
                least = 0.99 * EPSILON if number != trained.left_early else 0.5 * EPSILON
                assert least < spent <= EPSILON
                assert device.odometer.spent(now, "analytics") == 0
        assert shop.evidence()[2].epsilon_so_far <= EPSILON
        assert len(shop.stored(lambda store: store.charges())) == 3

    def test_the_manifests_in_the_log_form_a_chain(self, trained):
        digests = [trained.shop.manifest_digest(name) for name in trained.names]
        manifests = [trained.shop.manifest(name) for name in trained.names]
        assert [manifest.previous for manifest in manifests] == [FIRST, *digests[:2]]
        assert [manifest.step for manifest in manifests] == [0, 1, 2]
        (plan,) = {manifest.plan for manifest in manifests}
        assert plan.epsilon == EPSILON
        assert tuple(step.query for step in plan.steps) == STEPS
        assert [manifest.as_step for manifest in manifests] == list(plan.steps)

    def test_evidence_tells_each_step_and_its_purposes(self, trained):
        evidence = trained.shop.evidence()[:3]
        assert [leaf.query for leaf in evidence] == list(STEPS)
        assert {leaf.purposes for leaf in evidence} == {PURPOSES}
        assert {leaf.outcome for leaf in evidence} == {"released"}
        digests = [trained.shop.manifest_digest(name) for name in trained.names]
        assert [leaf.manifest for leaf in evidence] == digests
        so_far = [leaf.epsilon_so_far for leaf in evidence]
        assert so_far == sorted(set(so_far))

    def test_the_model_is_what_the_sums_make(self, trained):
        """Decoded from what was opened, with the noise as stated, and nothing else."""
        features = trained.catalogue.features()
        first = release.first_sum(*trained.total(0, 82), features)
        base = trained.release(BASE)
        assert base.array("popularity") == pytest.approx(first.popularity, rel=1e-6)
        assert base.array("rate") == pytest.approx(first.rate, rel=1e-6)
        axes = release.axes(*trained.total(1, 40 * 41 // 2), 4)
        assert trained.release(AXES).array("axes") == pytest.approx(axes, abs=1e-6)
        total, sd = trained.total(2, 40 * 4)
        factors = release.factors(total, base.array("popularity"), sd, features)
        model = trained.release(MODEL)
        assert model.array("factors") == pytest.approx(factors, abs=1e-5)
        assert model.array("popularity").tolist() == base.array("popularity").tolist()
        assert model.array("rate").tolist() == base.array("rate").tolist()
        assert (model["mix"], model.version, model.round_id) == (0.8, 1, trained.names[2])
        assert model.items == trained.catalogue.items

    def test_phones_take_the_model_and_rank_with_it(self, trained):
        model, items = trained.release(MODEL), trained.catalogue.items
        base = Base(model.array("popularity"), model.array("rate"))
        phones = trained.shop.phones()
        for number in trained.shop.world.households[3:8]:
            with phones.open(number) as device:
                trained.adopt(device)
                answer = device.recommend(items, 10)
                bought = trained.catalogue.history(device.facts()["items"])
            scores = on_device.score(bought, base, model.array("factors"), model["mix"])
            best = np.argsort(-scores, kind="stable")[: len(answer)]
            assert [each.item for each in answer] == [items[place] for place in best]
            assert [each.score for each in answer] == pytest.approx(scores[best])

    def test_a_second_training_is_refused_by_the_budget(self, trained):
        before = trained.shop.results()
        with pytest.raises(BudgetError, match=r"'train' to epsilon .*; the cap is 4"):
            trained.shop.ask(TRAIN)
        with pytest.raises(BudgetError):
            trained.shop.ask("p1=0.5")
        assert trained.shop.results() == before
        assert trained.release(MODEL).version == 1


def everything(device):
    """All that a phone's store can still tell, unsealed."""
    values = [device.store.get(name) or b"" for name in device.store.names("")]
    return b"\n".join([*values, *device.store.ledger(), *(value for _, value in device.store.events())])


def held(device):
    """What the phone holds under `personalize`."""
    return device.journal.events(), [(tag.id, tag.value) for tag in device.tags()], device.facts()


class TestLeaving:
    def test_without_train_nothing_of_it_is_left_and_the_rest_stays(self, trained):
        with opened(trained.shop, 0) as device:
            trained.adopt(device)
            kept = held(device)
            assert device.releases.latest(BASE)
            assert device.releases.latest(AXES)
            assert device.store.names("tickets/") == ["tickets/personalize+train"]
            device.withdraw("train")
            assert device.releases.kept([BASE, AXES]) == (b"", b"")
            assert device.store.names("tickets/") == []
            assert device.store.get_round(trained.names[2], PREPARED) is None
            assert device.store.get_round(trained.names[2], JOINED) is not None
            (withdrawal,) = device.withdrawals()
            assert withdrawal.purposes == ("train",)
            with pytest.raises(ConsentError):
                device.round_client().contribute(trained.files)
            assert held(device) == kept
            assert all(kept)
            assert device.releases.model() is not None
            assert device.recommend(trained.catalogue.items, 1)[0].reasons[0].code != "public_order"

    def test_without_personalize_nothing_of_the_person_is_left(self, trained):
        items = trained.catalogue.items
        with opened(trained.shop, 1) as device:
            trained.adopt(device)
            own = device.facts()["items"]
            assert own
            before = everything(device)
            assert all(item.encode() in before for item in items)
            device.withdraw("personalize")
            assert not device.journal.events()
            assert not device.tags()
            assert device.facts()["items"] == frozenset()
            assert device.releases.model() is None
            assert device.releases.kept([CATALOGUE, MODEL]) == (b"", b"")
            assert not [name for name in device.store.names("") if name.startswith("tickets/")]
            after = everything(device)
            files = b"".join(
                path.read_bytes() for path in device.store.path.parent.glob(f"{device.store.path.name}*")
            )
            assert len(files) > 1000
            assert not [item for item in items if item.encode() in after or item.encode() in files]
            answer = device.recommend(items, 3)
            assert [each.item for each in answer] == list(items[:3])
            assert len(device.ledger()) > 3


class TestOneSum:
    def test_it_is_the_whole_training(self, alone):
        (played,) = alone.rounds
        manifest = alone.shop.manifest(played["round_id"])
        assert (played["query"], played["final"]) == (BASE, 26)
        assert (opened_sum(played) == alone.shop.plain_sum(played["round_id"])).all()
        assert (len(manifest.plan.steps), manifest.step, manifest.previous) == (1, 0, FIRST)
        with opened(alone.shop, 0) as device:
            assert 0.99 * EPSILON < device.odometer.spent(device.clock.now(), "train") <= EPSILON
        assert alone.shop.stored(lambda store: store.training()) is None
        assert alone.shop.stored(lambda store: store.releases([BASE, AXES])) == ()

    def test_its_model_is_popularity_and_adoption_alone(self, alone):
        first = release.first_sum(*alone.total(0, 82), alone.catalogue.features())
        model = alone.release(MODEL)
        assert model.array("popularity") == pytest.approx(first.popularity, rel=1e-6)
        assert model.array("rate") == pytest.approx(first.rate, rel=1e-6)
        assert model.array("factors").shape == (40, 0)
        assert model["mix"] == 0.35

    def test_phones_rank_with_it(self, alone):
        items = alone.catalogue.items
        with opened(alone.shop, 3) as device:
            alone.adopt(device)
            answer = device.recommend(items, 40)
            assert {each.item for each in answer} == set(items) - device.facts()["items"]
        codes = {reason.code for each in answer for reason in each.reasons}
        assert codes == {"popular", "adopted"}

    def test_a_second_one_is_refused_by_the_budget(self, alone):
        with pytest.raises(BudgetError):
            alone.shop.ask(TRAIN)
        assert alone.shop.results() == alone.rounds


@pytest.mark.usefixtures("three_steps")
@pytest.mark.slow
class TestEndings:
    def test_a_training_goes_on_at_its_own_epsilon_only(self, shop):
        first = shop.ask(TRAIN)
        with pytest.raises(ConfigError, match="training at epsilon 4 is under way"):
            shop.ask("p1=2.0")
        assert shop.results() == first
        assert shop.stored(lambda store: store.training()).step == 1

    def test_a_step_that_aborts_ends_its_training(self, shop, monkeypatch):
        shop.ask(TRAIN)
        with monkeypatch.context() as patch:
            patch.setattr(PhonesBehindNode, "_let", lambda *_: None)
            with pytest.raises(AbortError):
                shop.ask(TRAIN)
        assert shop.evidence()[-1].outcome == "aborted"
        assert shop.stored(lambda store: store.training()) is None
        assert shop.stored(lambda store: store.releases([MODEL])) == ()
        with pytest.raises(BudgetError):
            shop.ask(TRAIN)
        *_, again = shop.ask("p1=2.0")
        manifest = shop.manifest(again["round_id"])
        assert (again["round_id"].rsplit("-", 1)[0], manifest.previous) == ("p1-base-2", FIRST)
        assert manifest.plan.epsilon == 2.0

    def test_a_coordinator_killed_within_a_step_goes_on_with_it(self, shop):
        shop.ask(TRAIN)
        config = json.dumps(shop.config(TRAIN))
        killed = subprocess.run([sys.executable, "-c", KILLED, config], capture_output=True, check=False)
        assert killed.returncode == 9, killed.stderr.decode()
        assert shop.stored(lambda store: store.training()).step == 1
        assert [played["query"] for played in shop.ask(TRAIN)] == [BASE, GRAM]
        training = shop.stored(lambda store: store.training())
        assert (training.plan.epsilon, training.step) == (4.0, 2)
        assert shop.stored(lambda store: store.count(GRAM)) == 1
        assert [leaf.outcome for leaf in shop.evidence()] == ["released", "released"]

    @pytest.mark.parametrize("step", [0, 1])
    def test_a_poisoned_sum_is_withheld(self, shop, monkeypatch, step):
        """One phone that does not clip spoils the round; nothing comes of it."""
        if step:
            shop.ask(TRAIN)
        published = shop.stored(lambda store: store.releases([BASE, AXES, MODEL]))
        liar = shop.world.households[4]
        honest = RoundClient._with_noise

        def lie(client, invited, prepared):
            vector = honest(client, invited, prepared)
            return vector + int(1e5 * invited.manifest.scale) * (client._store.path.stem == str(liar))

        monkeypatch.setattr(RoundClient, "_with_noise", lie)
        with pytest.raises(RoundError, match="is withheld"):
            shop.ask(TRAIN)
        *_, withheld = shop.results()
        assert "sum" not in withheld
        assert liar in shop.sent(withheld["round_id"])
        assert shop.evidence()[-1].outcome == "withheld"
        assert shop.stored(lambda store: store.releases([BASE, AXES, MODEL])) == published
        assert shop.stored(lambda store: store.training()) is None
        assert len(shop.stored(lambda store: store.charges())) == step + 1


def test_too_few_people_begin_no_training(small_shop):
    shop = small_shop(purpose="train", count=19)
    with pytest.raises(ConfigError, match=r"19 phones hold tickets.* a round for train needs 20"):
        shop.ask(TRAIN)
    assert shop.stored(lambda store: store.training()) is None
    with pytest.raises(ConfigError, match="needs 20"):
        shop.ask("p1=2.0")


KILLED = """
import json, os, sys
from flwr.app import Context, RecordDict
from covey_models.recommender import release
from covey_server import coordinator, node
from covey_server.flower import InProcessGrid
from covey_simulations.devices.flower_fleet import PhonesBehindNode

release.WORTH_THREE_SUMS = 0
contribute = PhonesBehindNode.contribute


def die(phones, files):
    yield next(contribute(phones, files))
    os._exit(9)


PhonesBehindNode.contribute = die
config = json.loads(sys.argv[1])
nodes = {2: Context(0, 2, {}, RecordDict(), config)}
coordinator.app(InProcessGrid(node.app, nodes), Context(0, 1, {}, RecordDict(), config))
"""
"""A coordinator that dies while the phones send."""
