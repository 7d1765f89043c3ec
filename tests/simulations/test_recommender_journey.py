import pytest

from covey_simulations.data.purchases import load_purchases
from covey_simulations.evaluation import metrics, reference_recommenders
from covey_simulations.evaluation.plaintext_training import p1_scores

pytestmark = pytest.mark.slow

LEVELS = ("product_type", "product_category")


@pytest.fixture(scope="module", params=LEVELS)
def task(request):
    return request.param, load_purchases(request.param)


def measured(scores, purchases):
    scores = scores.copy()
    scores[purchases.bought] = -float("inf")
    someone = purchases.new.any(axis=1)
    ranked, relevant = metrics.top_k(scores[someone]), purchases.new[someone]
    return metrics.recall_at(ranked, relevant), metrics.ndcg_at(ranked, relevant)


def means(scores, purchases):
    return tuple(float(values.mean()) for values in measured(scores, purchases))


def test_the_task_is_the_one_measured(task):
    level, purchases = task
    items, households = {"product_type": (2242, 1917), "product_category": (302, 1747)}[level]
    assert purchases.bought.shape == (2464, items)
    assert purchases.new.any(axis=1).sum() == households
    assert not (purchases.new & purchases.bought).any()
    assert not (purchases.recent & ~purchases.bought).any()


# The record does not name the settings of its ALS; at four sweeps it is met. Tuned it does better.
RECORDED = {
    "p1": (p1_scores, 5e-4, ((0.0729, 0.1006), (0.2649, 0.2113))),
    "popularity": (
        lambda them: reference_recommenders.popularity(them.bought),
        5e-4,
        ((0.0664, 0.0898), (0.2318, 0.1855)),
    ),
    "ease": (
        lambda them: reference_recommenders.ease(them.bought),
        3e-3,
        ((0.0710, 0.0950), (0.2513, 0.2046)),
    ),
    "als": (
        lambda them: reference_recommenders.implicit_als(
            them.bought, unobserved=0.5, penalty=0.004, sweeps=4
        ),
        3e-3,
        ((0.0681, 0.0861), (0.2304, 0.1768)),
    ),
    "tuned als": (
        lambda them: reference_recommenders.implicit_als(them.bought),
        3e-3,
        ((0.0720, 0.1000), (0.2512, 0.2027)),
    ),
}


@pytest.mark.parametrize("ranker", RECORDED)
def test_a_ranker_comes_out_as_recorded(task, ranker):
    level, purchases = task
    scores, tolerance, recorded = RECORDED[ranker]
    assert means(scores(purchases), purchases) == pytest.approx(recorded[LEVELS.index(level)], abs=tolerance)


def test_p1_beats_popularity_beyond_chance(task):
    _, purchases = task
    ours = measured(p1_scores(purchases), purchases)
    theirs = measured(reference_recommenders.popularity(purchases.bought), purchases)
    for one, other in zip(ours, theirs, strict=True):
        assert metrics.paired_interval(one, other, seed=1)[0] > 0
