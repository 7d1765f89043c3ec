import math

import numpy as np
import pytest

from covey_models.catalogue import Catalogue
from covey_models.recommender import on_device, release
from covey_simulations.data import histories
from covey_simulations.errors import RunError
from covey_simulations.evaluation import metrics, plaintext_training, ranker_comparison, ranking
from covey_simulations.evaluation.plaintext_training import BASE, EXACT, GRAM, HALF_STEP, Cohorts
from covey_simulations.evaluation.ranking import Household, Training

ITEMS = tuple(f"type {number:02}" for number in range(24))
CATALOGUE = Catalogue(ITEMS, {"department": tuple("ab"[n // 12] for n in range(24)),
                              "product_category": tuple("abcdef"[n // 4] for n in range(24))})  # fmt: skip
DRAW = np.random.Generator(np.random.PCG64(5))


def household(number, new=None, again=None):
    """A household that keeps to one half of the shop, before and after."""
    shelf = ITEMS[:12] if number % 2 else ITEMS[12:]
    bought = DRAW.choice(shelf, 6, replace=False).tolist()
    rest = [item for item in ITEMS if item not in bought]
    return Household(
        number, frozenset(bought), frozenset(bought[:2]), {item: n + 1 for n, item in enumerate(bought)},
        tuple(rest[:10]) if new is None else new, tuple(bought[::-1]) if again is None else again,
        frozenset({*bought[4:], *(item for item in shelf if item not in bought)}),
    )  # fmt: skip


HOUSEHOLDS = [household(number) for number in range(60)]
TRAINERS = frozenset(range(0, 60, 3)) | {1, 5, 7}


def exact(form="three_rounds"):
    return dict(EXACT) if form == "three_rounds" else {BASE: 0.0}


def training(form="three_rounds", noise=None, contributors=None):
    steps = (BASE, GRAM, HALF_STEP) if form == "three_rounds" else (BASE,)
    took_part = dict.fromkeys(steps, TRAINERS) | (contributors or {})
    return Training(form, 23, 4.0, 1e-6, took_part, noise or (lambda _: exact(form)))


def evaluated(households=HOUSEHOLDS, catalogue=CATALOGUE, **how):
    return ranking.recommender(households, catalogue, training(**how), {"device": "household 1"})


@pytest.fixture(scope="module")
def found():
    return evaluated()


def rankers(found, task):
    return found[task]["recall_at_10"]


def test_the_report_says_how_the_model_came_about():
    found = evaluated(form="one_round")
    assert found["why"] == {"people": 23, "epsilon": 4.0, "product": 92.0, "threshold": 5000}
    assert (found["form"], found["epsilon"], found["delta"], found["items"]) == ("one_round", 4.0, 1e-6, 24)
    assert found["list"] == {"device": "household 1"}
    assert found["laboratory"]["new"]["recall_at_10"]["ease"] == 0.071


def test_what_phones_ranked_is_what_is_counted():
    told = [Household(h.id, h.items, h.adopted, h.counts, tuple(sorted(h.upcoming - h.items)),
                      tuple(sorted(h.upcoming & h.items)), h.upcoming) for h in HOUSEHOLDS]  # fmt: skip
    found = evaluated(told)
    assert rankers(found, "new")["federated"] == 1
    assert found["new"]["ndcg_at_10"]["federated"] == pytest.approx(1)
    assert rankers(found, "again")["federated"] == pytest.approx(2 / 8)


def test_only_what_is_new_is_relevant_among_the_new():
    one = Household(0, frozenset(ITEMS[:2]), frozenset(), {}, (ITEMS[0], ITEMS[5]), (ITEMS[0],),
                    frozenset({ITEMS[0], ITEMS[5], "not in the catalogue"}))  # fmt: skip
    found = evaluated([one, *HOUSEHOLDS[1:2]], contributors=dict.fromkeys(EXACT, frozenset({0, 1})))
    tables = histories.tabulate_histories([one], CATALOGUE)
    assert ranker_comparison.means(tables.new, tables.upcoming & ~tables.bought)["recall_at_10"] == 1
    assert ranker_comparison.means(tables.again, tables.upcoming)["recall_at_10"] == 0.5
    assert found["new"]["households"] == found["again"]["households"] == 2


def test_a_household_that_buys_nothing_new_is_in_no_mean_of_the_new(found):
    idle = Household(99, frozenset(ITEMS[:3]), frozenset(), {}, ITEMS[5:15], ITEMS[:3], frozenset(ITEMS[:1]))
    with_it = evaluated([*HOUSEHOLDS, idle])
    assert with_it["new"]["recall_at_10"] == found["new"]["recall_at_10"]
    assert with_it["new"]["households"] == 60
    assert with_it["again"]["households"] == 61


def test_a_phone_that_ranks_nothing_trains_but_is_not_judged():
    silent = [household(n, (), ()) if n % 3 == 0 else h for n, h in enumerate(HOUSEHOLDS)]
    found = evaluated(silent)
    assert found["new"]["households"] == 40
    again = evaluated(silent, contributors=dict.fromkeys(EXACT, frozenset({1, 5, 7})))
    assert rankers(found, "new")["noiseless"] != rankers(again, "new")["noiseless"]


def test_a_list_counts_an_item_once_and_ends_at_ten():
    repeated = Household(0, frozenset(), frozenset(), {}, (ITEMS[0],) * 5 + ITEMS[1:], (), frozenset(ITEMS))
    tables = histories.tabulate_histories([repeated], CATALOGUE)
    assert tables.new.tolist() == [list(range(10))]
    assert tables.again.tolist() == [[24] * 10]


def test_popularity_is_that_of_those_who_trained_and_leaves_own_items_out(found):
    ranking = histories.tabulate_histories(HOUSEHOLDS, CATALOGUE)
    cohort = ranking.bought[[n in TRAINERS for n in range(60)]].sum(axis=0).astype(float)
    expected = metrics.top_k(np.where(ranking.bought, -np.inf, cohort))
    relevant = ranking.upcoming & ~ranking.bought
    assert rankers(found, "new")["popularity"] == ranker_comparison.means(expected, relevant)["recall_at_10"]
    everyone = evaluated(contributors={BASE: frozenset(range(60))})
    assert rankers(found, "new")["popularity"] != rankers(everyone, "new")["popularity"]


def test_buying_again_goes_by_days_not_by_households():
    first, others = frozenset(ITEMS[:1]), ITEMS[1:13]
    often = Household(0, first, frozenset(), {ITEMS[0]: 50}, others, (), first)
    seldom = Household(1, frozenset(others), frozenset(), dict.fromkeys(others, 1), ITEMS[13:], (), first)
    found = evaluated([often, seldom], contributors=dict.fromkeys(EXACT, frozenset({0, 1})))
    assert rankers(found, "again")["popularity"] == 1
    assert rankers(found, "again")["gp_topfreq"] == 1 / 2


def test_alone_knows_the_half_of_the_shop_and_popularity_does_not(found):
    recall = rankers(found, "new")
    assert min(recall["alone"], recall["noiseless"]) > recall["popularity"] + 0.1


def test_an_interval_is_ours_minus_theirs(found):
    rivals = {"new": {"popularity", "alone", "noiseless"}, "again": {"popularity", "gp_topfreq"}}
    for task, others in rivals.items():
        assert set(found[task]["interval"]) == others
        for other, by_metric in found[task]["interval"].items():
            for metric, (low, high) in by_metric.items():
                assert low < found[task][metric]["federated"] - found[task][metric][other] < high


def test_without_noise_the_effect_ends_where_the_noiseless_model_is(found):
    *noisy, last = found["effect"]
    assert (last["epsilon"], last["form"]) == (None, "three_rounds")
    assert last["recall_at_10"] == rankers(found, "new")["noiseless"]
    assert [row["epsilon"] for row in noisy] == [1.0, 2.0, 4.0, 8.0]


def test_the_steps_that_have_noise_say_what_the_form_is_at_an_epsilon():
    found = evaluated(noise=lambda epsilon: exact("three_rounds" if epsilon > 2 else "one_round"))
    assert [row["form"] for row in found["effect"]] == ["one_round"] * 2 + ["three_rounds"] * 3


def test_much_noise_costs_what_was_learnt():
    untold = Catalogue(ITEMS)
    drowned = evaluated(catalogue=untold, noise=lambda _: dict.fromkeys(EXACT, 50.0))["effect"]
    assert drowned[0]["recall_at_10"] < drowned[-1]["recall_at_10"] - 0.05


def test_one_round_gives_everyone_the_same_order():
    ranking = histories.tabulate_histories(HOUSEHOLDS, CATALOGUE)
    base = ranking.of(TRAINERS)
    cohorts = Cohorts(base.bought, base.adopted, base.bought, base.bought, CATALOGUE.features())
    model = plaintext_training.train(cohorts, {BASE: 0.0})
    prior = model.mix * np.log(model.base.rate) + (1 - model.mix) * np.log(model.base.popularity)
    scores = np.array(list(model.scores(ranking.bought)))
    assert np.isneginf(scores[ranking.bought]).all()
    spread = np.where(ranking.bought, np.nan, scores - prior)
    assert np.nanmax(spread) == pytest.approx(np.nanmin(spread))
    assert model.factors.shape == (24, 0)


@pytest.mark.parametrize(("part", "share"), [("popularity", 0.3), ("adoption", 0.08)])
def test_the_base_shares_one_noise_by_what_each_part_is_scaled_with(part, share, monkeypatch):
    heard = {}
    for name in ("popularity", "base"):
        plain = getattr(release, name)
        monkeypatch.setattr(release, name, lambda *a, _n=name, _f=plain: heard.update({_n: a}) or _f(*a))
    blank = np.zeros((1, 4000), dtype=bool)
    plaintext_training.train(Cohorts(blank, blank, blank, blank, None), {BASE: 3.0}, 4.0, seed=1)
    expected = 3.0 / math.sqrt(share / 0.4)
    total, sd = {"popularity": heard["popularity"][:2], "adoption": (heard["base"][1], heard["base"][3])}[
        part
    ]
    assert sd == pytest.approx(expected)
    assert np.std(total) == pytest.approx(expected, rel=0.05)


def test_the_scalars_have_their_noise_as_well(monkeypatch):
    heard, plain = [], release.base
    monkeypatch.setattr(release, "base", lambda *a: heard.append(a[2]) or plain(*a))
    blank = np.zeros((1, 8), dtype=bool)
    for seed in range(400):
        plaintext_training.train(Cohorts(blank, blank, blank, blank, None), {BASE: 1.0}, 4.0, seed=seed)
    assert np.std(heard) == pytest.approx(on_device.SCALARS_NORM / math.sqrt(0.02 / 0.4), rel=0.1)


@pytest.mark.parametrize("contributors", [frozenset({1, 1000}), frozenset()])
def test_a_cohort_that_is_not_there_is_refused(contributors):
    with pytest.raises(RunError, match="among the 60 that were given"):
        evaluated(contributors={GRAM: contributors})


def test_a_shop_where_nobody_bought_anything_cannot_be_judged():
    still = [Household(h.id, h.items, h.adopted, h.counts, h.new, h.again, frozenset()) for h in HOUSEHOLDS]
    with pytest.raises(RunError, match="no household bought anything"):
        evaluated(still)
