"""The statistics of the one-run audit, held against exact numbers and mechanisms of known epsilon."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from covey_simulations.audit.one_run import lower_bound, p_value, right_guesses
from covey_simulations.errors import SetupError


@pytest.mark.parametrize(
    ("right", "odds"), [(0, 256), (1, 255), (2, 243), (3, 189), (4, 81)]
)  # of 256, for Binomial(4, 3/4)
def test_without_delta_it_is_the_binomial_tail(right, odds):
    assert p_value(9, 4, right, math.log(3), 0.0) == pytest.approx(odds / 256)


@given(st.integers(1, 300), st.data(), st.floats(0, 8), st.floats(0, 1e-3))
def test_it_is_the_formula_of_theorem_5_2(guesses, data, epsilon, delta):
    right = data.draw(st.integers(0, guesses))
    law = stats.binom(guesses, 1 / (1 + math.exp(-epsilon)))
    tail = law.sf(right - 1)
    slack = max((law.sf(right - i - 1) - tail) / i for i in range(1, guesses + 1))
    expected = min(1.0, tail + 2 * 400 * delta * slack)
    assert p_value(400, guesses, right, epsilon, delta) == pytest.approx(expected, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("guesses", [10, 64, 1000])
def test_all_right_refutes_what_would_give_that_in_one_of_twenty_runs(guesses):
    q = 0.05 ** (1 / guesses)
    assert lower_bound(guesses, guesses, guesses, 0.0) == pytest.approx(math.log(q / (1 - q)), abs=1e-5)


def test_delta_lowers_the_bound_and_half_right_refutes_nothing():
    bounds = [lower_bound(1000, 100, 95, delta) for delta in (0.0, 1e-5, 1e-3)]
    assert bounds == sorted(set(bounds), reverse=True)
    assert lower_bound(1000, 100, 50, 0.0) == 0.0


@pytest.mark.parametrize("epsilon", [0.5, 2.0])
def test_a_true_claim_is_refuted_in_one_run_of_twenty_at_most(epsilon):
    """Randomised response reaches its epsilon: no bound could be above it more often, or less by much."""
    guesses = 400
    refuting = [right for right in range(guesses + 1) if lower_bound(guesses, guesses, right, 0.0) > epsilon]
    wrongly = stats.binom(guesses, 1 / (1 + math.exp(-epsilon))).pmf(refuting).sum()
    assert 0.02 < wrongly <= 0.05


@pytest.mark.parametrize("epsilon", [0.5, 2.0, 4.0])
def test_randomised_response_is_bounded_tightly(epsilon):
    draw = np.random.default_rng(1)
    took_part = draw.random(20_000) < 0.5
    truthful = draw.random(20_000) < 1 / (1 + math.exp(-epsilon))
    scores = np.where(took_part == truthful, 1.0, -1.0)
    right = right_guesses(scores + draw.normal(0, 1e-3, 20_000), took_part, 18_000)
    assert 0.9 * epsilon < lower_bound(20_000, 18_000, right, 0.0) < epsilon


@pytest.mark.parametrize(("epsilon", "least"), [(2.0, 1.0), (4.0, 2.0)])
def test_a_gaussian_mechanism_is_bounded_from_below_and_not_for_nothing(epsilon, least):
    def beyond(sigma):
        """By how much the exact delta (Balle and Wang 2018, theorem 8) is above the one asked for."""
        first, second = 1 / (2 * sigma) - epsilon * sigma, -1 / (2 * sigma) - epsilon * sigma
        return stats.norm.cdf(first) - math.exp(epsilon) * stats.norm.cdf(second) - 1e-5

    sigma = optimize.brentq(beyond, 0.1, 50)
    draw = np.random.default_rng(2)
    took_part = draw.random(100_000) < 0.5
    right = right_guesses(took_part + draw.normal(0, sigma, 100_000), took_part, 2000)
    assert least < lower_bound(100_000, 2000, right, 1e-5) < epsilon


def test_guesses_are_yes_for_the_highest_and_no_for_the_lowest():
    scores = np.array([0.3, -5.0, 9.0, 0.1, 4.0, -2.0])
    took_part = np.array([True, False, True, False, False, True])
    assert right_guesses(scores, took_part, 2) == 2
    assert right_guesses(scores, took_part, 4) == 2
    assert right_guesses(scores, took_part, 0) == 0
    assert right_guesses(-scores, took_part, 2) == 0


@pytest.mark.parametrize(
    "wrong", [(5, 6, 1, 0.1), (5, 4, 5, 0.1), (5, 4, -1, 0.1), (5, 4, 1, 2.0), (5, 4, 1, math.nan)]
)
def test_impossible_counts_are_refused(wrong):
    with pytest.raises(SetupError, match="guesses"):
        lower_bound(*wrong)
