import pytest

from covey_simulations import metrics, references
from covey_simulations.in_the_clear import p1_scores
from covey_simulations.purchases import load

pytestmark = pytest.mark.slow

LEVELS = ("product_type", "product_category")


@pytest.fixture(scope="module", params=LEVELS)
def task(request):
    return request.param, load(request.param)


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


def test_p1_in_the_clear_comes_out_as_recorded(task):
    level, purchases = task
    recorded = {"product_type": (0.0729, 0.1006), "product_category": (0.2649, 0.2113)}[level]
    assert means(p1_scores(purchases), purchases) == pytest.approx(recorded, abs=5e-4)


def test_popularity_comes_out_as_recorded(task):
    level, purchases = task
    recorded = {"product_type": (0.0664, 0.0898), "product_category": (0.2318, 0.1855)}[level]
    assert means(references.popularity(purchases.bought), purchases) == pytest.approx(recorded, abs=5e-4)


def test_ease_comes_out_as_recorded(task):
    level, purchases = task
    recorded = {"product_type": (0.0710, 0.0950), "product_category": (0.2513, 0.2046)}[level]
    assert means(references.ease(purchases.bought), purchases) == pytest.approx(recorded, abs=3e-3)


def test_als_at_fewer_sweeps_comes_out_as_recorded(task):
    """The record does not name its settings; at these it is met, and the tuned ones below do better."""
    level, purchases = task
    recorded = {"product_type": (0.0681, 0.0861), "product_category": (0.2304, 0.1768)}[level]
    scores = references.implicit_als(purchases.bought, unobserved=0.5, penalty=0.004, sweeps=4)
    assert means(scores, purchases) == pytest.approx(recorded, abs=3e-3)


def test_als_tuned_before_the_window_stays_what_it_was(task):
    level, purchases = task
    known = {"product_type": (0.0720, 0.1000), "product_category": (0.2512, 0.2027)}[level]
    assert means(references.implicit_als(purchases.bought), purchases) == pytest.approx(known, abs=3e-3)


def test_p1_beats_popularity_beyond_chance(task):
    _, purchases = task
    ours = measured(p1_scores(purchases), purchases)
    theirs = measured(references.popularity(purchases.bought), purchases)
    for one, other in zip(ours, theirs, strict=True):
        assert metrics.paired_interval(one, other, seed=1)[0] > 0
