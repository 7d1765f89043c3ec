import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey_models import ModelError
from covey_models.recommender import on_device, release


def drawn(shape, seed):
    return np.random.Generator(np.random.PCG64(seed)).normal(size=shape)


def triangle(matrix):
    rows, columns = np.triu_indices(len(matrix))
    return matrix[rows, columns] * np.where(rows == columns, 1, math.sqrt(2))


def test_the_base_of_a_tiny_shop():
    counts = release.popularity(np.array([60.0, 40, 0]), 0.0, None)
    assert counts.tolist() == [60, 40, 0.5]
    base = release.base(counts, np.array([8.0, 0, 0.1]), np.array([100.0, 2]), 0.0, None)
    share = counts / 100.5
    assert base.popularity == pytest.approx(share)
    owners = np.minimum(share * 8, 0.97)
    assert base.rate == pytest.approx(np.array([8, 0.3, 0.3]) / (100 * (1 - owners) + 20))


def test_the_mean_history_is_at_least_five_items():
    counts = np.array([1.0, 9.0])
    tiny = release.base(counts, np.ones(2), np.array([100.0, 0]), 0.0, None)
    assert tiny.rate[0] == pytest.approx(1 / (100 * 0.5 + 20))


@pytest.mark.parametrize("scalars", [[-30.0, -4.0], [0.0, 0.0], [0.5, 900.0]])
def test_scalars_drowned_in_noise_still_make_a_base(scalars):
    base = release.base(np.array([3.0, 1.0]), np.array([-5.0, 2]), np.array(scalars), 10.0, None)
    assert (base.rate > 0).all()


def test_nobody_took_part():
    counts = release.popularity(np.zeros(4), 0.0, None)
    base = release.base(counts, np.zeros(4), np.zeros(2), 0.0, None)
    assert base.popularity == pytest.approx(0.25)
    axes = release.axes(np.zeros(10), 0.0, 2)
    assert np.isfinite(axes).all()
    assert not release.factors(np.zeros(8), counts, 0.0, None).any()


@given(st.integers(1, 12), st.integers(0, 99))
def test_the_axes_are_the_leading_eigenvectors(size, seed):
    tastes = drawn((3 * size, size), seed)
    gram = tastes.T @ tastes
    axes = release.axes(triangle(gram), 0.0, min(3, size))
    values = np.linalg.eigvalsh(gram)[::-1][: axes.shape[1]]
    assert axes.T @ axes == pytest.approx(np.eye(axes.shape[1]), abs=1e-9)
    assert gram @ axes == pytest.approx(axes * values, abs=1e-6 * values[0])


def test_an_axis_counts_by_how_far_it_stands_out_of_the_noise():
    gram = np.diag([10.0, 5, 1, 0.5])
    sd = 4 / math.sqrt(8)
    lengths = np.linalg.norm(release.axes(triangle(gram), sd, 3), axis=0)
    assert lengths == pytest.approx([math.sqrt(1 - 0.16), 0.6, 0.05])


def test_noise_alone_has_no_axis_far_beyond_the_edge():
    noise = drawn(150 * 151 // 2, 3)
    assert np.linalg.norm(release.axes(noise, 1.1, 1)) == pytest.approx(0.05)
    assert np.linalg.norm(release.axes(noise, 0.9, 1)) > 0.1


def test_the_factors_are_where_the_half_steps_point():
    left = np.linalg.qr(drawn((6, 2), 1))[0]
    total = left @ np.diag([3.0, 2.0]) @ np.linalg.qr(drawn((2, 2), 2))[0]
    factors = release.factors(total.ravel(), np.ones(6), 0.0, None)
    assert factors.T @ factors == pytest.approx(np.eye(2), abs=1e-12)
    assert factors @ factors.T == pytest.approx(left @ left.T)


def test_a_direction_without_weight_is_left_out():
    total = np.outer([1.0, 2, 3, 4], [1.0, 1.0])
    factors = release.factors(total.ravel(), np.ones(4), 0.0, None)
    assert np.linalg.norm(factors, axis=0) == pytest.approx([1, 0])


def test_three_sums_over_devices_find_who_buys_together():
    groups = np.kron(np.eye(2, dtype=bool), np.ones((1, 6), dtype=bool))
    mask = drawn((400, 12), 5) > -0.5
    everyone = np.repeat(groups, 200, axis=0) & mask
    counts = release.popularity(sum(map(on_device.popularity, everyone)), 0.0, None)
    base = release.base(
        counts, sum(map(on_device.adoption, everyone)), sum(map(on_device.scalars, everyone)), 0.0, None
    )
    axes = release.axes(sum(on_device.gram(one, base) for one in everyone), 0.0, 1)
    steps = sum(on_device.half_step(one, base, axes) for one in everyone)
    factors = release.factors(steps, counts, 0.0, None)
    mine = np.arange(12) < 3
    ranked = np.argsort(-on_device.score(mine, base, factors, mix=0.8))
    assert set(ranked[:3].tolist()) == {3, 4, 5}


@pytest.mark.parametrize(
    ("epsilon", "rank", "mix"), [(math.inf, 8, 0.8), (8, 4, 0.8), (4, 4, 0.8), (2, 3, 0.5), (1, 2, 0.5)]
)
def test_a_smaller_budget_buys_fewer_axes(epsilon, rank, mix):
    assert release.rank(epsilon) == rank
    assert release.mix(epsilon) == mix


def test_totals_that_do_not_fit_are_refused():
    ones = np.ones(3)
    with pytest.raises(ModelError, match="finite"):
        release.popularity(np.array([1.0, math.nan]), 0.0, None)
    with pytest.raises(ModelError, match=r"shape \(3,\)"):
        release.base(ones, np.ones(2), np.ones(2), 0.0, None)
    with pytest.raises(ModelError, match=r"shape \(2,\)"):
        release.base(ones, ones, ones, 0.0, None)
    with pytest.raises(ModelError, match="triangle"):
        release.axes(np.ones(4), 0.0, 1)
    with pytest.raises(ModelError, match="multiple of 3"):
        release.factors(np.ones(4), ones, 0.0, None)
