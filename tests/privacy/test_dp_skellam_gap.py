import numpy as np
import pytest
from scipy import special

from covey_privacy.dp.skellam_gap import LEAST_VARIANCE, MOST_VARIANCE, POWERS, REACH, apart, nearness


def laws(variance):
    """Both laws by scipy on all that is looked at, the Gaussian's cells as differences of its upper tail."""
    k = np.arange(-int(REACH * variance**0.5), int(REACH * variance**0.5) + 1)
    far, sd = np.abs(k), (variance - 1 / 12) ** 0.5
    cells = special.ndtr(-(far - 0.5) / sd) - special.ndtr(-(far + 0.5) / sd)
    return special.ive(k, variance), cells


@pytest.mark.parametrize("variance", [LEAST_VARIANCE, 2500.5, 2e4, 3e5])
def test_the_moments_bound_the_true_ones_and_hardly_more(variance):
    """Either law over the other; what the bounds lose is of the second order in 1 / variance."""
    skellam, gaussian = laws(variance)
    bound = nearness(variance).moments
    for power, most in zip(POWERS, bound, strict=True):
        with np.errstate(over="ignore"):
            over = np.log(skellam @ (skellam / gaussian) ** power)
            under = np.log(gaussian @ (gaussian / skellam) ** power)
        assert max(over, under) <= most
        if most < 1:
            assert most <= max(over, under) + 1e-12 * power + 8 * power / variance**2


@pytest.mark.parametrize("variance", [LEAST_VARIANCE, 2e4])
def test_the_tail_bounds_what_is_not_looked_at(variance):
    beyond = np.arange(int(REACH * variance**0.5) + 2, int(2 * REACH * variance**0.5))
    assert 2 * special.ive(beyond, variance).sum() <= nearness(variance).tail < 2.0**-63
    assert 2 * special.ndtr(-REACH) <= nearness(variance).tail


@pytest.mark.parametrize("variance", [LEAST_VARIANCE, 2e4, 3e5])
@pytest.mark.parametrize("delta", [1e-4, 1e-9, 1e-13])
def test_apart_is_no_less_than_the_laws_are(variance, delta):
    skellam, gaussian = laws(variance)
    within = np.exp(apart(nearness(variance).moments, delta))
    for one, other in ((skellam, gaussian), (gaussian, skellam)):
        assert np.maximum(0, one - within * other).sum() <= delta


def test_two_entries_are_no_further_apart_than_their_moments_say():
    """Every pair of outcomes of two Skellams, weighed exactly; a tenth of what is claimed would not hold."""
    first, second = laws(1000.0), laws(2000.0)
    skellam, gaussian = (np.multiply.outer(one, other) for one, other in zip(first, second, strict=True))
    claimed = apart(nearness(1000.0).moments + nearness(2000.0).moments, 1e-8)
    assert np.maximum(0, skellam - np.exp(claimed) * gaussian).sum() <= 1e-8
    assert np.maximum(0, skellam - np.exp(claimed / 10) * gaussian).sum() > 1e-8


def test_they_come_nearer_as_the_noise_grows():
    """By the square of the variance, as ln E[ratio^power] = power^2 / (48 variance^2) for a small power."""
    narrow, wide = nearness(1e4).moments, nearness(1e5).moments
    assert narrow[4] / wide[4] == pytest.approx(100, rel=0.05)
    assert narrow[4] == pytest.approx(POWERS[4] ** 2 / (48 * 1e8), rel=0.1)


def test_the_widest_noise_is_looked_at_too():
    assert nearness(MOST_VARIANCE).moments[0] < 1e-11
