import hashlib
import math
from bisect import bisect_right
from decimal import Decimal, localcontext
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from covey_privacy.dp import Skellam, noise_share
from covey_privacy.dp.keystream import keystream
from covey_privacy.dp.skellam import BLOCK, CROWDED, _table
from covey_privacy.errors import MisuseError

DRAWS = 1_000_000
"""At a scale wrong by 3 % the KS statistic is 7 and chi-square 140 deviations off; SURE takes 2.7 and 9."""
SURE = 1e-6
VARIANCES = [1.0, 10.0, 1e3, 1e6, 1e8]
WRONG = [1 / 1.03, 1.03]


def stream(name):
    """A reproducible stand-in for secret bytes, good for one call."""
    return lambda size: hashlib.shake_256(name.encode()).digest(size)


def draw(variance, name, size=DRAWS):
    return Skellam(variance).sample(size, stream(f"{name} {variance}"))


def seen_and_expected(draws, variance):
    """Return counts of the draws in up to 60 cells that cover three deviations, and the law's."""
    law = stats.skellam(variance / 2, variance / 2)
    cuts = np.unique(np.round(np.linspace(-3, 3, 59) * math.sqrt(variance)))
    cells = np.diff(np.concatenate(([0.0], law.cdf(cuts), [1.0])))
    return np.bincount(np.searchsorted(cuts, draws), minlength=len(cells)), len(draws) * cells


def chi_square(draws, variance):
    return stats.chisquare(*seen_and_expected(draws, variance)).pvalue


def kolmogorov_smirnov(draws, variance):
    """The p-value at the cells' borders; a law of whole numbers makes it larger than it is, never smaller."""
    seen, expected = seen_and_expected(draws, variance)
    apart = np.abs(np.cumsum(seen - expected)).max() / len(draws)
    return stats.kstwobign.sf(apart * math.sqrt(len(draws)))


@pytest.fixture(scope="module", params=VARIANCES)
def drawn(request):
    return request.param, draw(request.param, "law")


@pytest.mark.parametrize("test", [chi_square, kolmogorov_smirnov])
def test_draws_follow_the_law_and_no_law_three_percent_wider_or_narrower(drawn, test):
    variance, draws = drawn
    assert test(draws, variance) > SURE
    for wrong in WRONG:
        assert test(draws, variance * wrong**2) < SURE


@pytest.mark.parametrize("variance", [0.01, 0.7])
def test_draws_below_one_follow_the_law(variance):
    assert chi_square(draw(variance, "law"), variance) > SURE


@pytest.mark.parametrize("members", [12, 13, 16])
def test_sums_of_shares_have_the_whole_noise_at_the_floor_and_more_by_each_member_above(members):
    share = noise_share(sigma=3.0, scale=4.0, honest=12)
    total = sum(draw(share, f"device {device}") for device in range(members))
    variance = 144.0 * members / 12
    assert chi_square(total, variance) > SURE
    assert kolmogorov_smirnov(total, variance) > SURE
    for wrong in (members - 1, members + 1):
        assert chi_square(total, 144.0 * wrong / 12) < SURE


def true_law(variance, reach):
    """Return P(X = k) for k from 0 to reach, from the series of I_k (Abramowitz and Stegun 9.6.10)."""
    half, terms = Decimal(variance) / 2, int(3 * variance) + 60
    law, lead = [], (-Decimal(variance)).exp()
    for k in range(reach + 1):
        lead *= half / k if k else 1
        term = total = lead
        for m in range(1, terms):
            term *= half * half / (m * (m + k))
            total += term
        law.append(total)
    return law


def bounds(variance):
    """The first uniform of 128 bits above each value but the greatest."""
    table = _table(variance)
    return [int(high) << 64 | int(low) for high, low in zip(table.high, table.low, strict=False)]


def inverted(variance, uniforms):
    """What uniforms of 128 bits give: first all leading halves are asked for, then the others of the tied."""
    leading = b"".join((each >> 64).to_bytes(8, "little") for each in uniforms)
    others = [(each % 2**64).to_bytes(8, "little") for each in uniforms if tied(variance, each)]
    said = iter([leading, *others])
    return list(Skellam(variance).sample(len(uniforms), lambda _: next(said)))


def tied(variance, uniform):
    return (_table(variance).high == uniform >> 64).any()


@pytest.mark.parametrize("variance", [1e-6, 0.01, 1.0, 10.0, 150.0])
def test_distance_bounds_the_total_variation_from_the_true_law_closely(variance):
    reach = _table(variance).reach
    with localcontext(prec=90):
        law = true_law(variance, reach)
        outside = 1 - law[0] - 2 * sum(law[1:])
        cuts = [0, *bounds(variance), 2**128]
        cells = [Decimal(high - low) / 2**128 for low, high in pairwise(cuts)]
        apart = sum(abs(cell - law[abs(k)]) for k, cell in enumerate(cells, -reach)) + outside
        assert 0 < outside / 2 < Decimal(2) ** -128 <= outside / 2 + law[reach]
    assert Skellam(variance).distance / 8 < apart / 2 <= Skellam(variance).distance


@pytest.mark.parametrize("variance", [1e6, 1e8])
def test_the_table_ends_where_a_tail_is_less_than_one_unit(variance):
    """That wide, the law is nearly normal."""
    assert _table(variance).reach / math.sqrt(variance) == pytest.approx(stats.norm.isf(2**-128), rel=1e-4)
    assert Skellam(variance).distance < 1e-32


@pytest.mark.parametrize("variance", [0.01, *VARIANCES])
def test_the_table_is_symmetric_and_reaches_to_the_last_of_128_bits(variance):
    found = bounds(variance)
    assert all(low + high == 2**128 for low, high in zip(found, reversed(found), strict=True))
    reach = _table(variance).reach
    assert inverted(variance, [0, 2**128 - 1]) == [-reach, reach]


@given(st.floats(1e-6, 1e4), st.data())
def test_a_draw_is_what_a_binary_search_finds_at_every_bound(variance, data):
    found = bounds(variance)
    far = st.sampled_from([-(2**64), -1, 0, 1, 2**64])
    near = st.builds(lambda bound, off: (bound + off) % 2**128, st.sampled_from(found), far)
    uniforms = data.draw(st.lists(near | st.integers(0, 2**128 - 1), max_size=40))
    expected = [bisect_right(found, each) - len(found) // 2 for each in uniforms]
    assert inverted(variance, uniforms) == expected


@pytest.mark.parametrize("variance", VARIANCES)
def test_draws_are_what_a_binary_search_finds_block_after_block(variance):
    size = 2 * BLOCK + 1
    uniform = np.frombuffer(stream("bulk")(8 * size), "<u8")
    expected = np.searchsorted(_table(variance).high, uniform) - _table(variance).reach
    assert (Skellam(variance).sample(size, stream("bulk")) == expected).all()


def test_at_every_variance_the_guide_leaves_less_than_an_eighth_of_the_draws_to_the_search():
    assert [np.mean(_table(variance).guide == CROWDED) < 1 / 8 for variance in VARIANCES] == [True] * 5


def test_draws_are_whole_int64_and_as_many_as_asked():
    draws = Skellam(2.0).sample(7)
    assert draws.dtype == np.int64
    assert draws.shape == (7,)
    assert Skellam(2.0).sample(0).shape == (0,)


def test_fresh_draws_differ():
    assert (Skellam(1e4).sample(64) != Skellam(1e4).sample(64)).any()


def test_a_keystream_is_as_long_as_asked_uniform_and_never_the_same_twice():
    assert keystream(0) == b""
    assert len(keystream(17)) == 17
    once, again = keystream(2**20), keystream(2**20)
    for stretch in (once, bytes(a ^ b for a, b in zip(once, again, strict=True))):
        assert stats.chisquare(np.bincount(np.frombuffer(stretch, np.uint8), minlength=256)).pvalue > 1e-9


@pytest.mark.parametrize("variance", [0.0, -1.0, 1e-7, 2.0**29, math.inf, math.nan])
def test_variances_that_cannot_be_drawn_are_refused(variance):
    with pytest.raises(MisuseError, match="variance"):
        Skellam(variance)


def test_a_source_of_randomness_that_runs_dry_stops_the_draw():
    with pytest.raises(ValueError, match="buffer"):
        Skellam(1.0).sample(8, lambda size: b"\0" * (size - 1))
