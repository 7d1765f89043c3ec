import numpy as np
import pytest

from covey_models.recommender.shrinkage import popularity_posterior, shrink_rows

GROUPS = np.repeat(np.arange(8), 25)
FEATURES = np.concatenate([np.eye(8)[GROUPS], np.ones((200, 1))], axis=1)


def drawn(shape, seed):
    return np.random.Generator(np.random.PCG64(seed)).normal(size=shape)


@pytest.mark.parametrize("seed", range(5))
def test_shrinkage_comes_closer_to_the_truth_than_the_noisy_sum(seed):
    truth = 10.0 * GROUPS + np.abs(drawn(200, seed))
    noisy = truth + 20 * drawn(200, seed + 100)
    posterior = popularity_posterior(noisy, 20.0, FEATURES)
    assert np.sum((posterior - truth) ** 2) < 0.5 * np.sum((noisy - truth) ** 2)


def test_a_sum_hardly_noisy_is_hardly_moved():
    truth = 50 + 10 * drawn(200, 1)
    assert popularity_posterior(truth, 0.01, FEATURES) == pytest.approx(truth, abs=0.01)


def test_no_posterior_popularity_is_without_weight():
    posterior = popularity_posterior(np.full(200, -100.0), 2.0, FEATURES)
    assert (posterior >= 0.15 * 2.0).all()


def test_without_noise_rows_stay_as_they_are():
    rows = drawn((200, 3), 2)
    assert shrink_rows(rows, np.ones(200), 0.0, FEATURES) is rows


def test_rows_of_noise_shrink_to_a_twentieth_and_strong_rows_stay():
    popularity = np.arange(1.0, 201)
    strong = popularity > 100
    noisy = drawn((200, 4), 3) + 100 * strong[:, None]
    kept = shrink_rows(noisy, popularity, 1.0, None)
    assert np.abs(kept[~strong]).mean() < 0.3 * np.abs(noisy[~strong]).mean()
    assert kept[strong] == pytest.approx(noisy[strong], rel=1e-3)


def test_rows_are_drawn_towards_others_of_their_group():
    popularity = 1 + drawn(200, 4) ** 2
    truth = np.sqrt(popularity)[:, None] * (GROUPS - 3.5)[:, None] * np.ones((1, 2))
    noisy = truth + 5 * drawn((200, 2), 5)
    with_groups = shrink_rows(noisy, popularity, 5.0, FEATURES)
    without = shrink_rows(noisy, popularity, 5.0, None)
    assert np.sum((with_groups - truth) ** 2) < 0.5 * np.sum((without - truth) ** 2)


def test_rows_that_follow_their_group_and_popularity_are_left_alone():
    popularity = 1 + drawn(200, 6) ** 2
    truth = np.sqrt(popularity)[:, None] * np.cos(np.stack([GROUPS, 2.0 * GROUPS], axis=1))
    assert shrink_rows(truth, popularity, 5.0, FEATURES) == pytest.approx(truth, abs=0.2)


def test_fewer_items_than_bins():
    assert shrink_rows(np.ones((2, 1)), np.ones(2), 1.0, None).shape == (2, 1)
    assert popularity_posterior(np.ones(2), 1.0, np.ones((2, 1))).shape == (2,)
