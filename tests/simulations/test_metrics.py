import math

import numpy as np
import pytest

from covey_models.catalogue import Catalogue
from covey_simulations.evaluation import metrics, reference_recommenders

RANKED = np.array([[0, 1, 2], [3, 2, 1]])
RELEVANT = np.array([[1, 0, 1, 1], [0, 1, 0, 0]], dtype=bool)


def test_recall_is_the_share_of_what_was_relevant():
    assert metrics.recall_at(RANKED, RELEVANT) == pytest.approx([2 / 3, 1])


def test_ndcg_discounts_by_rank_against_the_best_ranking_there_is():
    ideal = 1 + 1 / math.log2(3) + 1 / 2
    assert metrics.ndcg_at(RANKED, RELEVANT) == pytest.approx([(1 + 1 / 2) / ideal, 1 / 2])


def test_the_ideal_is_capped_at_the_length_of_the_ranking():
    relevant = np.ones((1, 30), dtype=bool)
    assert metrics.ndcg_at(np.arange(10)[None, :], relevant) == pytest.approx([1])
    assert metrics.recall_at(np.arange(10)[None, :], relevant) == pytest.approx([1 / 3])


def test_the_best_come_first_and_of_equals_the_first():
    assert metrics.top_k(np.array([[1.0, 3, 3, -np.inf, 2]]), 3).tolist() == [[1, 2, 4]]


def test_a_steady_difference_is_sure_and_a_paired_one_is_not_blurred_by_its_households():
    households = np.linspace(0, 1, 200)
    low, high = metrics.paired_interval(households + 0.01, households, seed=1)
    assert (low, high) == pytest.approx((0.01, 0.01))
    noise = np.tile([0.1, -0.1], 100)
    low, high = metrics.paired_interval(households + noise, households, seed=1)
    assert low < 0 < high
    assert (low, high) == metrics.paired_interval(households + noise, households, seed=1)
    assert high == pytest.approx(1.96 * 0.1 / math.sqrt(200), rel=0.1)


@pytest.mark.parametrize(
    "reference",
    [lambda b: reference_recommenders.ease(b, 1.0), lambda b: reference_recommenders.implicit_als(b, 2)],
)
def test_a_reference_sees_who_buys_together(reference):
    groups = np.kron(np.eye(2, dtype=bool), np.ones((40, 4), dtype=bool))
    groups[0, 3] = False
    scores = reference(groups)
    assert scores[0, 3] > scores[0, 4:].max()


def test_ease_has_no_item_vouch_for_itself():
    alone = np.eye(3, dtype=bool)
    assert reference_recommenders.ease(alone) == pytest.approx(np.zeros((3, 3)))


SHELVES = Catalogue(("a", "b", "c", "d"), {"shop": ("x", "x", "x", "y"), "shelf": ("1", "1", "2", "3")})


def test_alone_goes_by_the_households_own_shelves():
    bought = np.array([[1, 0, 0, 0], [1, 0, 0, 1], [0, 0, 0, 0]], dtype=bool)
    expected = [[2, 2, 1, 0], [1, 1, 0.5, 1], [0, 0, 0, 0]]
    assert np.array(list(reference_recommenders.alone(bought, SHELVES))) == pytest.approx(np.array(expected))


def test_nobody_elses_history_moves_alone():
    bought = np.array([[1, 0, 0, 0], [0, 0, 1, 1]], dtype=bool)
    (own,) = reference_recommenders.alone(bought[:1], SHELVES)
    assert next(reference_recommenders.alone(bought, SHELVES)) == pytest.approx(own)


def test_frequency_comes_first_and_popularity_breaks_its_ties_alone():
    counts, popularity = np.array([[0.0, 2, 1, 1]]), np.array([9000.0, 0, 1, 8999])
    ranked = np.argsort(-reference_recommenders.gp_topfreq(counts, popularity), axis=1)
    assert ranked.tolist() == [[1, 3, 2, 0]]
