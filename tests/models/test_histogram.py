import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey_models import Categories, LogBins, ModelError
from covey_models.histogram import monotone, one_hot, suppressed

BINS = LogBins(1, 400)
values = st.lists(st.floats(0.01, 5000), min_size=1, max_size=60)


def counted(bins, numbers):
    return sum(one_hot(bins.index(number), bins.count) for number in numbers)


def test_the_outer_bins_take_what_is_beyond():
    assert BINS.index(0) == BINS.index(0.999) == 0
    assert BINS.index(1) == 1
    assert BINS.index(399.9) == 30
    assert BINS.index(400) == BINS.index(1e12) == 31


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_bins_keep_the_order(one, other):
    assert (BINS.index(one) <= BINS.index(other)) or one > other


def test_inner_bins_are_equally_wide_on_a_log_scale():
    assert np.diff(np.log(BINS.edges)) == pytest.approx(math.log(400) / 30)
    assert (BINS.edges[0], BINS.edges[-1]) == pytest.approx((1, 400))


@given(values)
def test_without_noise_the_median_is_within_a_bin_of_the_truth(numbers):
    median = BINS.median(counted(BINS, numbers))
    assert abs(BINS.index(median) - BINS.index(statistics.median_low(numbers))) <= 1


def test_the_median_is_interpolated_geometrically():
    bins = LogBins(1, 1000, 5)
    assert bins.median(np.array([0, 0, 8, 0, 0.0])) == pytest.approx(math.sqrt(10 * 100))
    assert bins.median(np.array([0, 2, 8, 0, 0.0])) == pytest.approx(10 * 10 ** (3 / 8))


@pytest.mark.parametrize("seed", range(20))
def test_noise_moves_the_median_little(seed):
    normal = statistics.NormalDist()
    truth = np.array(
        [int(1e4 * (normal.cdf((i - 9) / 4) - normal.cdf((i - 10) / 4))) for i in range(32)], float
    )
    noisy = truth + np.array([20 * x for x in normal.samples(32, seed=seed)])
    assert BINS.median(noisy) == pytest.approx(BINS.median(truth), rel=0.05)


def test_no_median_of_a_total_that_is_not_above_noise():
    counts = one_hot(7, 32) * 100
    assert BINS.median(counts, least=99.0) is not None
    assert BINS.median(counts, least=100.0) is None
    assert BINS.median(np.zeros(32)) is None
    assert BINS.median(-counts) is None


@given(st.lists(st.floats(-1e6, 1e6), min_size=1))
def test_monotone_does_not_fall_and_leaves_rising_numbers_alone(numbers):
    array = np.array(numbers)
    assert (np.diff(monotone(array)) >= 0).all()
    assert (monotone(np.sort(array)) == np.sort(array)).all()
    assert monotone(-array[::-1])[::-1] == pytest.approx(-monotone(array))


def test_a_count_is_suppressed_below_the_least_and_not_at_it():
    assert suppressed(np.array([49.9, 50.0, -3.0, 1234.4]), 50) == [None, 50, None, 1234]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, "12", None])
def test_log_bins_take_finite_numbers_alone(bad):
    with pytest.raises(ModelError, match="finite"):
        BINS.index(bad)


def test_categories_take_their_names_alone():
    names = Categories(("near", "far"))
    assert (names.index("near"), names.index("far"), names.count) == (0, 1, 2)
    for bad in ("Near", "", 0.0, None):
        with pytest.raises(ModelError, match="near, far"):
            names.index(bad)


@pytest.mark.parametrize("wrong", [(0, 1), (5, 5), (1, math.inf), (1, 2, 2), (math.nan, 2)])
def test_impossible_bins_are_refused(wrong):
    with pytest.raises(ModelError):
        LogBins(*wrong)


@pytest.mark.parametrize("index", [-1, 4])
def test_one_hot_has_no_cell_outside(index):
    with pytest.raises(ModelError):
        one_hot(index, 4)
