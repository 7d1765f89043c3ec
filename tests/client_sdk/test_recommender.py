import itertools
import json
import math
import re
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covey_models import ModelError
from covey_models.catalogue import Catalogue
from covey_models.recommender import on_device
from covey_sdk import ConsentError, EventError, reasons, recommender
from covey_sdk.events import OrderLine
from covey_sdk.recommender import Model
from covey_sdk.translations import translate

DOCS = (Path(__file__).parents[2] / "docs" / "recommending.md").read_text("utf-8")
SHOP = ("bread", "milk", "tea", "coffee", "soap", "rope")
SIGNED = {"popular", "adopted", "goes_with", "goes_with_others", "average"}


def model_of(items=SHOP, seed=0, columns=3, mix=0.8):
    draw = np.random.Generator(np.random.PCG64(seed))
    shares = draw.uniform(1, 100, len(items))
    factors = np.linalg.qr(draw.normal(size=(len(items), len(items))))[0][:, :columns]
    base = on_device.Base(shares / shares.sum(), draw.uniform(0.01, 0.2, len(items)))
    return Model(Catalogue(tuple(items)), base, factors, mix, 7, "p1-half-step-3")


def items_of(answer):
    return [each.item for each in answer]


def only(code, answer):
    return [reason for reason in answer.reasons if reason.code == code]


@st.composite
def households(draw):
    count = draw(st.integers(1, 30))
    items = [f"item {place}" for place in range(count)]
    model = model_of(
        items, draw(st.integers(0, 99)), min(draw(st.integers(0, 5)), count), draw(st.floats(0, 1))
    )
    ages = st.lists(st.integers(0, 400), min_size=1, max_size=5).map(lambda days: tuple(sorted(days)[::-1]))
    bought = draw(st.dictionaries(st.sampled_from([*items, "gone"]), ages))
    candidates = draw(st.permutations([*items, "gone", "novel"]))
    return model, bought, candidates


@pytest.fixture
def taught(monkeypatch):
    """Give a device a model, as a signed release will."""

    def taught(device, model):
        monkeypatch.setattr(device.releases, "model", lambda: model)
        return device

    return taught


@pytest.fixture
def buys(order):
    """Orders of one line each, of items named with their ages in days; all are tea unless told otherwise."""

    def buys(category="tea", **ages):
        return [order(age, lines=(OrderLine(item, category, 100),)) for item, age in ages.items()]

    return buys


class TestReasons:
    @settings(deadline=None)
    @given(households(), st.sampled_from(["new", "again"]), st.integers(1, 40))
    def test_they_add_up_to_the_score_and_the_score_falls(self, household, ranking, k):
        model, bought, candidates = household
        answer = recommender.recommend(model, bought, candidates, k, ranking)
        for each in answer:
            assert math.isclose(
                sum(reason.amount for reason in each.reasons), each.score, rel_tol=1e-9, abs_tol=1e-15
            )
            assert each.reasons
        known = [each.score for each in answer if each.item in model.catalogue.items]
        assert all(one >= other - 1e-9 * (1 + abs(one)) for one, other in itertools.pairwise(known))

    @settings(deadline=None)
    @given(households())
    def test_the_scores_are_those_of_the_model(self, household):
        model, bought, candidates = household
        history = model.catalogue.history(bought)
        scores = on_device.score(history, model.base, model.factors, model.mix)
        for each in recommender.recommend(model, bought, candidates, 40, "new"):
            place = model.catalogue.places.get(each.item)
            assert each.score == pytest.approx(0.0 if place is None else scores[place], abs=1e-6)

    @settings(deadline=None)
    @given(households())
    def test_each_speaks_in_the_direction_of_its_amount(self, household):
        model, bought, candidates = household
        for each in recommender.recommend(model, bought, candidates, 40, "new"):
            for reason in each.reasons:
                if reason.code in SIGNED:
                    side = "for" if reason.amount > 0 else "against"
                    others = str(len(set(bought) & set(model.catalogue.items)) - reasons.SINGLY)
                    words = {"about": (reason.about,) * 2, "count": (others,) * 2}
                    assert (reason.said_en, reason.said_zh) == translate(f"{reason.code}_{side}", **words)

    @settings(deadline=None)
    @given(households())
    def test_the_bought_items_that_matter_most_are_named_once(self, household):
        model, bought, candidates = household
        own = [item for item in model.catalogue.items if item in bought]
        for each in recommender.recommend(model, bought, candidates, 40, "new"):
            named = [reason.about for reason in only("goes_with", each)]
            assert len(set(named)) == len(named) <= (4 if len(own) <= 4 else 3)
            assert set(named) <= set(own)
            if len(own) <= 4:
                assert not only("goes_with_others", each)
            for one in only("goes_with_others", each):
                assert one.about == ""

    def test_the_strongest_are_the_ones_named(self):
        shop = [f"item {place}" for place in range(20)]
        model = model_of(shop)
        bought = dict.fromkeys(shop[:12], (5,))
        (one,) = recommender.recommend(model, bought, shop, 1, "new")
        history, place = model.catalogue.history(bought), np.array([model.catalogue.places[one.item]])
        amounts = on_device.parts(history, model.base, model.factors, model.mix, place).goes_with[0]
        strongest = sorted(range(12), key=lambda item: -abs(amounts[item]))
        named = {reason.about: reason.amount for reason in only("goes_with", one)}
        assert named == pytest.approx({shop[item]: amounts[item] for item in strongest[:3]})
        (rest,) = only("goes_with_others", one)
        assert rest.amount == pytest.approx(sum(amounts[item] for item in strongest[3:]))
        assert "9 other items" in rest.said_en
        assert "9 种" in rest.said_zh

    def test_they_come_strongest_first(self):
        for each in recommender.recommend(model_of(), {"tea": (3,), "milk": (9,)}, SHOP, 9, "new"):
            sizes = [abs(reason.amount) for reason in each.reasons]
            assert sizes == sorted(sizes, reverse=True)

    def test_an_item_that_is_named_is_what_moved_the_score(self):
        """Take a named item out of the history: the score goes the other way, as far as was said or so."""
        checked = 0
        shop = [f"item {place}" for place in range(60)]
        for seed in range(30):
            model = lifting(shop, seed)
            bought = dict.fromkeys(shop[:30], (5,))
            (one,) = recommender.recommend(model, bought, shop, 1, "new")
            for reason in only("goes_with", one):
                fewer = {item: ages for item, ages in bought.items() if item != reason.about}
                change = one.score - recommender.explain(model, fewer, one.item).score
                assert math.copysign(1, change) == math.copysign(1, reason.amount)
                checked += 1
        assert checked == 90

    def test_what_says_nothing_is_not_said(self):
        nothing = recommender.recommend(model_of(columns=0), {"tea": (3,)}, SHOP, 9, "new")
        assert {reason.code for each in nothing for reason in each.reasons} == {"popular", "adopted"}
        even = replace(model_of(columns=0), base=on_device.Base(np.full(6, 1 / 6), np.full(6, 0.1)))
        (first, *_) = recommender.recommend(even, {}, SHOP, 9, "new")
        assert (first.item, first.score) == ("bread", pytest.approx(0))

    def test_every_text_is_there_in_both_languages(self):
        shop = [*SHOP, *"abcdefg"]
        bought = dict.fromkeys("abcdefg", (90, 2))
        told = [
            reason
            for seed in range(20)
            for ranking in ("new", "again")
            for each in recommender.recommend(model_of(shop, seed), bought, [*shop, "x"], 99, ranking)
            for reason in each.reasons
        ]
        assert {reason.code for reason in told} == {*SIGNED, "frequent", "recent", "unknown"}
        for reason in told:
            assert reason.said_en.isascii()
            assert reason.said_zh.endswith("。")
            assert "{" not in reason.said_en + reason.said_zh

    def test_a_name_with_braces_is_only_a_name(self):
        shop = (*SHOP, "{0} {count}")
        answer = recommender.recommend(model_of(shop), {"{0} {count}": (1,)}, shop, 9, "new")
        (named,) = only("goes_with", answer[0])
        assert named.said_en.startswith("People who buy {0} {count} ")


def lifting(shop, seed):
    """A model as it is learnt: people who buy the first ten of the shop also buy the last ten, and so on."""
    draw = np.random.Generator(np.random.PCG64(seed))
    shares = draw.uniform(1, 3, len(shop))
    factors = np.linalg.qr(
        np.kron(np.eye(3), np.ones((len(shop) // 3, 1))) + draw.normal(0, 0.1, (len(shop), 3))
    )
    return Model(
        Catalogue(tuple(shop)),
        on_device.Base(shares / shares.sum(), np.full(len(shop), 0.1)),
        factors[0],
        0.8,
        1,
        "r",
    )


class TestRankings:
    @settings(deadline=None)
    @given(households(), st.integers(1, 40))
    def test_new_shows_nothing_bought_before_and_again_nothing_else(self, household, k):
        model, bought, candidates = household
        fresh = items_of(recommender.recommend(model, bought, candidates, k, "new"))
        own = items_of(recommender.recommend(model, bought, candidates, k, "again"))
        assert not set(fresh) & set(bought)
        assert set(own) <= set(bought)
        assert len(fresh) == min(k, len(set(candidates) - set(bought)))
        assert len(own) == min(k, len(set(candidates) & set(bought)))

    def test_again_puts_first_what_is_bought_often_and_lately(self):
        bought = {"soap": (300,), "tea": (20, 10, 3), "milk": (200, 190, 180), "novel": (1,)}
        answer = recommender.recommend(model_of(), bought, [*SHOP, "novel"], 9, "again")
        assert items_of(answer) == ["tea", "milk", "soap", "novel"]
        amounts = {reason.code: reason.amount for reason in answer[0].reasons}
        faded = sum(2 ** (-age / 120) for age in (20, 10, 3))
        assert amounts["frequent"] == pytest.approx(math.log(4))
        assert amounts["recent"] == pytest.approx(math.log((1 + faded) / 4))
        assert only("frequent", answer[0])[0].said_en == "Days on which you bought it: 3."
        assert only("recent", answer[0])[0].said_zh.endswith("天数：3。")
        assert recommender.recommend(model_of(), {}, SHOP, 9, "again") == ()

    def test_what_the_model_does_not_know_comes_last_in_public_order_and_says_so(self):
        answer = recommender.recommend(model_of(), {"tea": (3,)}, ["zinc", *SHOP, "axle"], 9, "new")
        assert items_of(answer)[-2:] == ["zinc", "axle"]
        assert {each.reasons for each in answer[-2:]} == {reasons.of_unknown()}
        assert len(recommender.recommend(model_of(), {}, ["zinc", "axle"], 1, "new")) == 1

    def test_a_name_that_comes_twice_counts_where_it_came_first(self):
        twice = ["soap", "soap", *SHOP, *SHOP]
        assert recommender.recommend(model_of(), {}, twice, 9, "new") == recommender.recommend(
            model_of(), {}, SHOP, 9, "new"
        )
        assert items_of(recommender.public_order(twice, 3, "new")) == ["soap", "bread", "milk"]

    def test_equals_stand_in_public_order(self):
        shop = [f"item {place}" for place in range(100)]
        rate = np.where(np.arange(100) % 3 == 0, 0.2, 0.1)
        two_kinds = replace(model_of(shop, columns=0), base=on_device.Base(np.full(100, 0.01), rate))
        expected = [*shop[::3], *(item for place, item in enumerate(shop) if place % 3)]
        assert items_of(recommender.recommend(two_kinds, {}, shop, 100, "new")) == expected

    @pytest.mark.parametrize(
        "wrong", [{"k": 0}, {"k": True}, {"k": 2.0}, {"ranking": "best"}, {"ranking": None}]
    )
    def test_an_argument_without_sense_is_refused_in_one_line(self, wrong):
        for rank in (recommender.public_order, lambda *a: recommender.recommend(model_of(), {}, *a)):
            asked = {"k": 10, "ranking": "new", **wrong}
            with pytest.raises(EventError, match=r"was expected$") as refused:
                rank(SHOP, asked["k"], asked["ranking"])
            assert next(iter(wrong)) in str(refused.value)

    @pytest.mark.parametrize("candidates", ["tea", ["tea", None], ["tea", ""]])
    def test_candidates_are_a_list_of_names(self, candidates):
        with pytest.raises(EventError, match="candidate"):
            recommender.public_order(candidates, 10, "new")

    @pytest.mark.parametrize(
        "wrong",
        [{"mix": 1.1}, {"mix": math.nan}, {"factors": np.ones((5, 1))}, {"catalogue": Catalogue(("a",))}],
    )
    def test_a_model_whose_parts_do_not_fit_is_refused(self, wrong):
        with pytest.raises(ModelError):
            replace(model_of(), **wrong)


class TestDevice:
    def test_it_ranks_by_what_its_owner_bought(self, device, taught, buys):
        taught(device, model_of())
        device.record_many(buys(tea=3, milk=90))
        ages = {"tea": (3,), "milk": (90,)}
        for ranking in ("new", "again"):
            assert device.recommend(SHOP, 4, ranking) == recommender.recommend(
                model_of(), ages, SHOP, 4, ranking
            )
        assert device.recommend(SHOP) == recommender.recommend(model_of(), ages, SHOP, 10, "new")

    def test_an_item_bought_twice_on_a_day_was_bought_on_one_day(self, device, taught, buys):
        taught(device, model_of())
        device.record_many([*buys(tea=3), *buys(tea=3), *buys(tea=8)])
        assert device.profile.bought(device.gate()) == {"tea": (8, 3)}

    @pytest.mark.compliance("DSA 38", "two people get the same list where nothing is personal")
    @pytest.mark.compliance("PIPL 24", "the list without personal features is the same for everyone")
    def test_two_devices_say_the_same_where_nothing_is_personal(self, device, opened, taught, buys, tmp_path):
        other = opened(tmp_path / "other.db")
        taught(device, model_of())
        taught(other, None)
        device.record_many(buys(tea=3, milk=90))
        one = device.recommend(SHOP, 4, personalised=False)
        assert repr(one).encode() == repr(other.recommend(SHOP, 4)).encode()
        assert items_of(one) == list(SHOP[:4])
        assert {each.reasons for each in one} == {reasons.of_public_order()}
        assert {each.score for each in one} == {0.0}

    def test_nothing_of_the_owner_is_read_for_it(self, device, taught, buys, monkeypatch):
        device.record_many(buys(tea=3))
        monkeypatch.setattr(device.journal, "events_after", lambda _: pytest.fail("the history was read"))
        taught(device, model_of()).recommend(SHOP, personalised=False)
        taught(device, None).recommend(SHOP)
        taught(device, model_of())
        with pytest.raises(pytest.fail.Exception):
            device.recommend(SHOP)

    def test_withdrawing_gives_the_public_order_at_once(self, device, taught, buys, allow):
        taught(device, model_of())
        allow(device, "personalize", "marketing")
        device.record_many(buys(tea=3, milk=90))
        assert items_of(device.recommend(SHOP, 3, "again")) == ["tea", "milk"]
        device.withdraw("personalize")
        assert device.journal.events()
        for ranking in ("new", "again"):
            assert items_of(device.recommend(SHOP, 3, ranking)) == list(SHOP[:3])
        assert device.profile.bought(device.gate()) == {}
        with pytest.raises(ConsentError, match="personalize"):
            device.explain("tea")

    def test_a_silent_registry_ends_it_too(self, device, taught, buys, clock):
        taught(device, model_of())
        device.record_many(buys(tea=3))
        clock.forward(days=8)
        assert items_of(device.recommend(SHOP, 3)) == list(SHOP[:3])

    def test_every_item_can_be_explained(self, device, taught, buys):
        taught(device, model_of())
        device.record_many(buys(tea=3, milk=90))
        for ranking, item in (("new", "rope"), ("again", "milk")):
            listed = next(each for each in device.recommend(SHOP, 10, ranking) if each.item == item)
            told = device.explain(item)
            assert (told.item, told.score, told.reasons) == (item, listed.score, listed.reasons)
            assert (told.ranking, told.model_version, told.round_id) == (ranking, 7, "p1-half-step-3")
        assert device.explain("zinc").reasons == reasons.of_unknown()
        with pytest.raises(EventError, match="item"):
            device.explain("")

    def test_without_a_model_the_public_order_is_the_explanation(self, device):
        told = device.explain("tea")
        assert (told.ranking, told.score, told.reasons) == ("public_order", 0.0, reasons.of_public_order())
        assert (told.model_version, told.round_id) == (None, None)

    def test_what_is_sensitive_appears_nowhere(self, device, taught, buys, allow):
        taught(device, model_of())
        allow(device, "personalize", "family", "health")
        device.record_many([*buys(tea=3), *buys("diapers", soap=2), *buys("cold_med", rope=1)])
        assert device.facts()["items"] == {"tea"}
        assert items_of(device.recommend(SHOP, 10, "again")) == ["tea"]
        assert device.recommend(SHOP, 10) == recommender.recommend(model_of(), {"tea": (3,)}, SHOP, 10, "new")

    def test_explaining_leaves_no_trace(self, device, taught, buys, path):
        taught(device, model_of())
        device.record_many(buys(tea=3))
        files = (path, path.with_name(path.name + "-wal"))
        before = [file.read_bytes() for file in files], device.export()["ledger"]
        device.recommend(SHOP)
        device.explain("rope")
        assert ([file.read_bytes() for file in files], device.export()["ledger"]) == before


class TestFacts:
    def test_items_and_what_was_adopted_in_84_days(self, device, buys):
        device.record_many([*buys(tea=83, soap=84, milk=84), *buys(milk=1)])
        assert device.facts()["items"] == {"tea", "soap", "milk"}
        assert device.facts()["adopted"] == {"tea"}

    def test_what_went_back_whole_does_not_count(self, device, order, refund):
        both = order(5, lines=(OrderLine("tea", "tea", 100), OrderLine("soap", "soap", 100)))
        device.record_many([both, refund(both, 100, 1)])
        assert device.facts()["items"] == {"tea"}
        device.record(refund(both, 100, 0))
        assert device.facts()["items"] == set()

    def test_without_consent_they_are_empty(self, device, buys, allow):
        allow(device, "personalize", "marketing")
        device.record_many(buys(tea=3))
        device.withdraw("personalize")
        assert (device.facts()["items"], device.facts()["adopted"]) == (frozenset(), frozenset())

    def test_export_lists_them_in_order(self, device, buys):
        device.record_many(buys(tea=3, soap=90, milk=1))
        facts = json.loads(json.dumps(device.export()))["facts"]
        assert facts["items"] == ["milk", "soap", "tea"]
        assert facts["adopted"] == ["milk", "tea"]


def test_the_documentation_works_as_shown_and_lists_every_code(device, taught, buys, capsys):
    taught(device, model_of())
    device.record_many(buys(tea=3, milk=90))
    (code,) = re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL)
    exec(code, {"device": device, "ITEMS": SHOP})  # noqa: S102  # the documentation's own code
    (first, *_) = device.recommend(SHOP)
    assert capsys.readouterr().out.startswith(f"{first.item} {first.score:.2f}")
    codes = {*SIGNED, "group", "frequent", "recent", "public_order", "unknown"}
    assert set(re.findall(r"`(\w+)`", "".join(re.findall(r"(?m)^\| (`.*?) \|", DOCS)))) == codes


@pytest.mark.slow
def test_ranking_all_types_of_a_grocer_takes_milliseconds():
    shop = [f"item {place}" for place in range(2200)]
    model = model_of(shop, columns=8)
    bought = dict.fromkeys(shop[::15], (200, 100, 10))

    def taken(ranking):
        start = time.process_time()
        recommender.recommend(model, bought, shop, 10, ranking)
        return time.process_time() - start

    for ranking in ("new", "again"):
        assert min(taken(ranking) for _ in range(5)) < 0.01
