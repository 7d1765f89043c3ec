import hashlib
import math

import numpy as np
import pytest
from scipy import stats

from covey_privacy.dp import Skellam, noise_share
from covey_privacy.dp.skellam import _table
from covey_privacy.errors import MisuseError

DRAWS = 200_000
VARIANCES = [0.01, 0.7, 25.0, 1e4, 1e6]


def stream(name):
    """A reproducible stand-in for os.urandom, good for one call."""
    return lambda size: hashlib.shake_256(name.encode()).digest(size)


def p_value(draws, variance):
    """Chi-square of the draws against the true law, in up to 60 cells that cover three deviations."""
    law = stats.skellam(variance / 2, variance / 2)
    cuts = np.unique(np.round(np.linspace(-3, 3, 59) * math.sqrt(variance)))
    cells = np.diff(np.concatenate(([0.0], law.cdf(cuts), [1.0])))
    seen = np.bincount(np.searchsorted(cuts, draws), minlength=len(cells))
    return stats.chisquare(seen, len(draws) * cells).pvalue


@pytest.mark.parametrize("variance", VARIANCES)
def test_draws_follow_the_law(variance):
    assert p_value(Skellam(variance).sample(DRAWS, stream(f"law {variance}")), variance) > 1e-4


@pytest.mark.parametrize("variance", VARIANCES[1:])
@pytest.mark.parametrize("wrong", [1 / 1.05, 1.05])
def test_the_same_draws_reject_a_scale_that_is_wrong_by_five_percent(variance, wrong):
    draws = Skellam(variance).sample(DRAWS, stream(f"law {variance}"))
    assert p_value(draws, variance * wrong**2) < 1e-6


def test_sums_of_shares_follow_the_law_of_the_whole():
    share = Skellam(noise_share(sigma=3.0, scale=4.0, honest=12))
    total = sum(share.sample(DRAWS, stream(f"device {device}")) for device in range(12))
    assert p_value(total, 144.0) > 1e-4
    assert p_value(total - share.sample(DRAWS, stream("device 0")), 144.0) < 1e-6


@pytest.mark.parametrize("variance", [1e-6, 0.01, 1.0, 25.0, 1e4])
def test_every_cell_of_the_table_has_its_probability(variance):
    table = [int(bound) for bound in _table(variance)]
    reach = len(table) // 2
    cells = np.diff([0, *table, 2**64]).astype(float) / 2.0**64
    truth = stats.skellam(variance / 2, variance / 2).pmf(np.arange(-reach, reach + 1))
    likely = truth > 1e-9
    assert cells[likely] == pytest.approx(truth[likely], rel=1e-6)
    assert np.abs(cells - truth).sum() < 1e-6


def test_the_table_is_symmetric_and_reaches_to_the_last_of_64_bits():
    table = _table(25.0)
    assert (table + table[::-1] == 0).all()
    extremes = Skellam(25.0).sample(2, lambda size: b"\0" * 8 + b"\xff" * 8)
    assert list(extremes) == [-(len(table) // 2), len(table) // 2]


@pytest.mark.parametrize("variance", [0.01, 25.0, 1e6])
def test_distance_bounds_the_mass_outside_and_the_rounding_inside(variance):
    law = Skellam(variance)
    reach = len(_table(variance)) // 2
    rounding = (2 * reach + 1) * 2.0**-66
    assert rounding < law.distance < (reach + 4) * 2.0**-64
    assert stats.skellam(variance / 2, variance / 2).sf(reach) < 2 * 2.0**-64


def test_draws_are_whole_int64_and_as_many_as_asked():
    draws = Skellam(2.0).sample(7)
    assert draws.dtype == np.int64
    assert draws.shape == (7,)
    assert Skellam(2.0).sample(0).shape == (0,)


def test_fresh_draws_differ():
    assert (Skellam(1e4).sample(64) != Skellam(1e4).sample(64)).any()


@pytest.mark.parametrize("variance", [0.0, -1.0, 1e-7, 2.0**29, math.inf, math.nan])
def test_variances_that_cannot_be_drawn_are_refused(variance):
    with pytest.raises(MisuseError, match="variance"):
        Skellam(variance)


def test_a_source_of_randomness_that_runs_dry_stops_the_draw():
    with pytest.raises(ValueError, match="buffer"):
        Skellam(1.0).sample(8, lambda size: b"\0" * (size - 1))
