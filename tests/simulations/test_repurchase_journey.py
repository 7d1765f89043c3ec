"""Buying again, measured on the test window; its two numbers were chosen on the 28 days from day 309."""

import numpy as np
import pytest

from covey_models import repurchase
from covey_models.recommender import on_device
from covey_simulations.data.purchases import load_purchases
from covey_simulations.evaluation import metrics, reference_recommenders

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def purchases():
    return load_purchases("product_type")


@pytest.fixture(scope="module")
def popularity(purchases):
    counts = np.maximum(sum(on_device.popularity(one) for one in purchases.bought), 0.5)
    return counts / counts.sum()


def measured(scores, purchases):
    someone = purchases.upcoming.any(axis=1)
    ranked, relevant = metrics.top_k(scores[someone]), purchases.upcoming[someone]
    return metrics.recall_at(ranked, relevant), metrics.ndcg_at(ranked, relevant)


def means(scores, purchases):
    return tuple(float(values.mean()) for values in measured(scores, purchases))


def test_the_task_is_the_one_measured(purchases):
    assert purchases.upcoming.any(axis=1).sum() == 2006
    assert (purchases.new == (purchases.upcoming & ~purchases.bought)).all()
    assert ((purchases.days > 0) == purchases.bought).all()
    assert purchases.visits[:, 2].min() == 1
    assert (purchases.faded <= purchases.days).all()


def test_personal_frequency_comes_out_as_recorded(purchases):
    scores = reference_recommenders.gp_topfreq(purchases.days, purchases.days.sum(axis=0))
    assert means(scores, purchases) == pytest.approx((0.1704, 0.5345), abs=5e-4)


def test_popularity_comes_out_as_recorded(purchases):
    scores = np.tile(purchases.days.sum(axis=0), (len(purchases.days), 1))
    assert means(scores, purchases) == pytest.approx((0.1075, 0.3699), abs=5e-4)


def test_buying_again_stays_what_it_was(purchases, popularity):
    scores = repurchase.score(purchases.days, purchases.faded, popularity)
    assert means(scores, purchases) == pytest.approx((0.1723, 0.5469), abs=5e-4)


def test_it_ranks_better_than_personal_frequency_and_finds_no_fewer(purchases, popularity):
    ours = measured(repurchase.score(purchases.days, purchases.faded, popularity), purchases)
    theirs = measured(
        reference_recommenders.gp_topfreq(purchases.days, purchases.days.sum(axis=0)), purchases
    )
    recall, ndcg = (metrics.paired_interval(*pair, seed=1) for pair in zip(ours, theirs, strict=True))
    assert ndcg[0] > 0
    assert recall[0] < 0 < recall[1]  # no difference that chance would not give
