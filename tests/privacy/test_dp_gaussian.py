import math

import numpy as np
import pytest
from dp_accounting.pld import privacy_loss_mechanism
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from covey_privacy.dp import gaussian

SHIFTS = (0.01, 0.2, 0.8375, 3.0, 12.0)


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("epsilon", [0.0, 0.05, 1.0, 4.0, 30.0])
def test_it_is_dp_accountings(shift, epsilon):
    oracle = privacy_loss_mechanism.GaussianPrivacyLoss(1 / shift).get_delta_for_epsilon(epsilon)
    assert gaussian.delta(shift, epsilon) == pytest.approx(oracle, rel=1e-9, abs=1e-18)


@pytest.mark.parametrize(("shift", "epsilon"), [(0.2, 1.0), (1.0, 3.0)])
def test_it_is_the_integral_of_what_the_likelihood_ratio_exceeds(shift, epsilon):
    def excess(x):
        return max(0.0, stats.norm.pdf(x - shift) - math.exp(epsilon) * stats.norm.pdf(x))

    start = epsilon / shift + shift / 2
    found, _ = integrate.quad(excess, start, start + 12, epsabs=1e-16)
    assert gaussian.delta(shift, epsilon) == pytest.approx(found, rel=1e-7)


@given(st.floats(1e-3, 30), st.floats(0, 600), st.floats(1e-3, 5))
def test_it_falls_with_epsilon_and_rises_with_the_shift(shift, epsilon, more):
    here = gaussian.delta(shift, epsilon)
    assert 0 <= here <= 1
    assert gaussian.delta(shift, epsilon + more) <= here * (1 + 1e-9)
    assert gaussian.delta(shift + more, epsilon) >= here * (1 - 1e-9)


def test_it_is_smooth_where_mills_ratio_changes_its_form():
    """At far = 25, for a shift of 20: epsilon = 300."""
    near = [gaussian.delta(20.0, 300.0 + step) for step in np.linspace(-1e-3, 1e-3, 5)]
    assert near == sorted(near, reverse=True)
    assert max(near) / min(near) == pytest.approx(1, abs=1e-3)
