import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey_models import ModelError
from covey_models.recommender import on_device
from covey_models.recommender.on_device import Base

NORM = 1 + 1e-9


@st.composite
def catalogues(draw):
    items = draw(st.integers(1, 40))
    counts = np.array(draw(st.lists(st.floats(0.01, 1000), min_size=items, max_size=items)))
    rate = np.array(draw(st.lists(st.floats(1e-4, 1), min_size=items, max_size=items)))
    return Base(counts / counts.sum(), rate)


def histories(items):
    some = st.lists(st.booleans(), min_size=items, max_size=items).map(lambda row: np.array(row, dtype=bool))
    one = st.integers(0, items - 1).map(lambda place: np.arange(items) == place)
    return st.one_of(st.just(np.zeros(items, dtype=bool)), one, some)


@st.composite
def households(draw, count=1):
    base = draw(catalogues())
    return base, *(draw(histories(base.popularity.size)) for _ in range(count))


def axes_for(base, count=3):
    rows = np.arange(len(base.top) * count, dtype=float).reshape(len(base.top), count)
    return np.cos(rows)


def factors_for(base, count=2):
    items = base.popularity.size
    return np.linalg.qr(np.cos(np.arange(items * count, dtype=float)).reshape(items, count))[0]


def top_taste(bought, base):
    z = (bought - bought.sum() * base.popularity) * base.weight
    z = z[base.top]
    length = np.linalg.norm(z)
    return z / length if length > 1e-12 else z * 0


@given(households())
def test_no_message_is_longer_than_its_norm(household):
    base, bought = household
    for message in (
        on_device.popularity(bought),
        on_device.adoption(bought),
        on_device.gram(bought, base),
        on_device.half_step(bought, base, axes_for(base)),
    ):
        assert np.linalg.norm(message) <= NORM
    assert np.linalg.norm(on_device.scalars(bought)) <= on_device.SCALARS_NORM * NORM


@given(catalogues())
def test_a_household_without_purchases_adds_nothing_and_sees_the_prior(base):
    nothing = np.zeros(base.popularity.size, dtype=bool)
    messages = (
        on_device.popularity(nothing),
        on_device.adoption(nothing),
        on_device.scalars(nothing),
        on_device.gram(nothing, base),
        on_device.half_step(nothing, base, axes_for(base)),
    )
    assert not any(message.any() for message in messages)
    scores = on_device.score(nothing, base, factors_for(base), mix=0.8)
    expected = 0.8 * np.log(base.rate) + 0.2 * np.log(base.popularity)
    assert scores - scores[0] == pytest.approx(expected - expected[0], abs=1e-9)


@pytest.mark.parametrize("items", [2, 149, 151, 400])
def test_whoever_has_something_to_say_says_it_at_full_norm(items):
    base = Base(np.full(items, 1 / items), np.full(items, 0.1))
    bought = np.arange(items) == 1
    assert np.linalg.norm(on_device.popularity(bought)) == pytest.approx(1)
    assert np.linalg.norm(on_device.gram(bought, base)) == pytest.approx(1)
    assert np.linalg.norm(on_device.half_step(bought, base, axes_for(base))) == pytest.approx(1)


def test_one_item_alone_in_its_catalogue_has_no_taste():
    base = Base(np.ones(1), np.ones(1))
    assert not on_device.gram(np.array([True]), base).any()
    assert not on_device.half_step(np.array([True]), base, np.ones((1, 1))).any()
    assert on_device.score(np.array([True]), base, np.ones((1, 1)), mix=0.5) == -math.inf


@given(households(count=2))
def test_the_triangle_keeps_the_inner_product_of_the_matrices(household):
    base, one, other = household
    product = on_device.gram(one, base) @ on_device.gram(other, base)
    assert product == pytest.approx((top_taste(one, base) @ top_taste(other, base)) ** 2, abs=1e-9)


def test_popularity_and_adoption_weigh_a_purchase_by_how_many_there_are():
    four = np.arange(30) < 4
    assert on_device.popularity(four)[:5] == pytest.approx([0.5, 0.5, 0.5, 0.5, 0])
    assert on_device.adoption(four)[:5] == pytest.approx([0.25, 0.25, 0.25, 0.25, 0])
    assert on_device.adoption(np.arange(30) < 25)[0] == pytest.approx(0.2)


def test_the_mean_length_is_over_at_most_so_many_items():
    assert on_device.scalars(np.arange(1000) < 100) == pytest.approx([1, 0.25])
    assert on_device.scalars(np.ones(1000, dtype=bool)) == pytest.approx([1, 1])


def test_the_half_step_is_the_outer_product_of_taste_and_place():
    base = Base(np.array([0.5, 0.3, 0.2]), np.ones(3))
    bought = np.array([True, False, True])
    z, axes = top_taste(bought, base), axes_for(base, 2)
    g = axes.T @ z
    expected = np.outer(z, g / np.linalg.norm(g))
    assert on_device.half_step(bought, base, axes).reshape(3, 2) == pytest.approx(expected)


@given(households())
def test_own_items_rank_nowhere_and_all_others_somewhere(household):
    base, bought = household
    scores = on_device.score(bought, base, factors_for(base), mix=0.8)
    assert (scores[bought] == -math.inf).all()
    assert np.isfinite(scores[~bought]).all()


def test_an_item_that_is_average_in_all_respects_scores_nothing():
    base = Base(np.array([0.25, 0.25, 0.3, 0.2]), np.array([0.2, 0.1, 0.3, 0.2]))
    scores = on_device.score(np.zeros(4, dtype=bool), base, factors_for(base), mix=0.8)
    assert scores[0] == pytest.approx(0)
    assert scores[1] == pytest.approx(0.8 * math.log(0.5))
    assert scores[2] == pytest.approx(0.8 * math.log(1.5) + 0.2 * math.log(1.2))


@given(households(), st.integers(0, 3), st.floats(0, 1))
def test_the_parts_add_up_to_the_score(household, count, mix):
    base, bought = household
    factors = factors_for(base, min(count, base.popularity.size))
    scores = on_device.score(bought, base, factors, mix)
    places = np.flatnonzero(~bought)[::-1]
    parts = on_device.parts(bought, base, factors, mix, places)
    assert parts.goes_with.shape == (len(places), bought.sum())
    total = parts.popularity + parts.adoption + parts.goes_with.sum(axis=1) + parts.average
    size = 1 + np.abs(parts.goes_with).sum(axis=1) + np.abs(parts.average)
    assert np.abs(total - scores[places]) / size == pytest.approx(np.zeros(len(places)), abs=1e-9)


@given(households(), st.floats(0, 1))
def test_without_factors_there_is_no_taste(household, mix):
    base, bought = household
    nothing = np.zeros((bought.size, 0))
    parts = on_device.parts(bought, base, nothing, mix, np.arange(bought.size))
    assert not parts.goes_with.any()
    assert not parts.average.any()
    scores = on_device.score(bought, base, nothing, mix)
    assert scores[~bought] == pytest.approx((parts.popularity + parts.adoption)[~bought])


def test_each_purchase_has_its_share_of_the_lift_and_the_average_is_taken_off():
    base = Base(np.array([0.4, 0.3, 0.2, 0.1]), np.full(4, 0.1))
    bought = np.array([True, True, False, False])
    factors = factors_for(base)
    parts = on_device.parts(bought, base, factors, 0.8, np.array([3]))
    row = factors[3] / (base.weight[3] * 2 * 0.1)
    lifts = [row @ factors[place] * base.weight[place] for place in (0, 1)]
    average = -row @ (factors.T @ (2 * base.popularity * base.weight))
    lift = sum(lifts) + average
    taste = 1.35 * math.tanh(lift / 3)
    assert parts.goes_with[0] == pytest.approx([taste * each / lift for each in lifts])
    assert parts.average[0] == pytest.approx(taste * average / lift)


def test_the_parts_stay_where_the_lift_vanishes():
    base = Base(np.full(4, 0.25), np.full(4, 0.1))
    factors = np.array([[1.0, 1.0, -1.0, -1.0]]).T / 2
    bought = np.array([True, False, True, False])
    parts = on_device.parts(bought, base, factors, 0.8, np.array([1, 3]))
    assert parts.goes_with == pytest.approx(0.45 * np.array([[0.5, -0.5], [-0.5, 0.5]]))


def test_a_shared_taste_lifts_an_item_above_a_more_popular_one():
    base = Base(np.array([0.3, 0.3, 0.22, 0.18]), np.array([0.1, 0.1, 0.1, 0.1]))
    together = np.array([[1, 0, 0, 1.0]]).T / math.sqrt(2)
    scores = on_device.score(np.array([True, False, False, False]), base, together, mix=0.8)
    assert np.argmax(scores) == 3
    assert np.argmax(on_device.score(np.array([True, False, False, False]), base, together * 0, mix=0.8)) == 1


def test_a_purchase_of_an_item_sixteen_times_rarer_counts_twice():
    base = Base(np.array([16, 1, 8, 7]) / 32, np.ones(4))
    assert base.weight[:2] == pytest.approx([1, 2])


def test_only_the_most_popular_items_are_in_the_gram():
    counts = np.arange(1.0, 201)
    base = Base(counts / counts.sum(), np.ones(200))
    assert base.top.tolist() == list(range(199, 49, -1))
    assert on_device.gram(counts > 100, base).size == 150 * 151 // 2


@pytest.mark.parametrize(
    ("popularity", "rate"),
    [
        ([0.5, 0.5], [0.1, 0.0]),
        ([0.5, 0.5], [0.1, math.nan]),
        ([1.0, 0.0], [0.1, 0.1]),
        ([0.5, 0.4], [0.1, 0.1]),
        ([0.5, 0.5], [0.1]),
        ([], []),
    ],
)
def test_a_base_that_cannot_be_is_refused(popularity, rate):
    with pytest.raises(ModelError):
        Base(np.array(popularity), np.array(rate))


def test_what_does_not_fit_is_refused():
    base = Base(np.array([0.5, 0.5]), np.ones(2))
    bought = np.array([True, False])
    with pytest.raises(ModelError, match="booleans"):
        on_device.popularity(np.ones(2))
    with pytest.raises(ModelError, match="3 items came"):
        on_device.gram(np.ones(3, dtype=bool), base)
    with pytest.raises(ModelError, match="axes"):
        on_device.half_step(bought, base, np.ones((3, 1)))
    with pytest.raises(ModelError, match="not finite"):
        on_device.half_step(bought, base, np.full((2, 1), math.nan))
    for refused in (np.full((2, 1), math.inf), np.ones((3, 1)), np.ones(2)):
        with pytest.raises(ModelError, match="factors"):
            on_device.score(bought, base, refused, mix=0.5)
        with pytest.raises(ModelError, match="factors"):
            on_device.parts(bought, base, refused, 0.5, np.array([1]))
