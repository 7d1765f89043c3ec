"""Packed Shamir sharing: R shares give the secrets, T give nothing, e wrong ones are corrected."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covey_privacy.errors import AbortError
from covey_privacy.protocol_rules import Rule
from covey_privacy.secagg.field import Q, matrix_product, solve, uniform_elements
from covey_privacy.secagg.packed_shamir import complete, interpolation, open_secrets, shares_of
from covey_privacy.secagg.shape import Shape

SHAPES = [Shape(4, 1, 1, 1), Shape(24, 5, 6, 3), Shape(31, 3, 16, 2), Shape(108, 26, 16, 6)]
MIXING = bytes(31) + b"\x01"


def _dealt(shape: Shape, columns: int = 5, seed: int = 0):
    first = np.random.default_rng(seed).integers(0, Q, (shape.threshold, columns))
    secrets, rest = complete(shape, first)
    every = shares_of(shape, first)
    assert (every[shape.threshold :] == rest).all()
    return secrets, every


def _opened(shape: Shape, shares: dict[int, np.ndarray]):
    return open_secrets(shape, shares, uniform_elements(MIXING, len(next(iter(shares.values())))))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@settings(max_examples=20)
@given(data=st.data())
def test_any_r_shares_open_the_secrets(shape, data):
    secrets, every = _dealt(shape)
    count = data.draw(st.integers(shape.threshold, shape.members))
    chosen = data.draw(st.permutations(range(1, shape.members + 1)))[:count]
    opened, wrong = _opened(shape, {number: every[number - 1] for number in chosen})
    assert (opened == secrets).all()
    assert wrong == 0


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_sums_of_shares_are_shares_of_the_sum(shape):
    (one, shares_one), (two, shares_two) = _dealt(shape, seed=1), _dealt(shape, seed=2)
    total = (shares_one + shares_two) % Q
    opened, _ = _opened(shape, {number: total[number - 1] for number in range(1, shape.threshold + 1)})
    assert (opened == (one + two) % Q).all()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@settings(max_examples=20)
@given(data=st.data())
def test_wrong_shares_are_corrected_or_nothing_is_opened(shape, data):
    secrets, every = _dealt(shape)
    answers = data.draw(st.sampled_from(sorted({shape.threshold, shape.threshold + 1, shape.members})))
    bears = min(shape.corrects, (answers - shape.threshold) // 2)
    liars = data.draw(st.integers(0, min(shape.members - shape.threshold, bears + 2)))
    chosen = data.draw(st.permutations(range(1, shape.members + 1)))[:answers]
    shares = {number: every[number - 1].copy() for number in chosen}
    for number in chosen[:liars]:
        shares[number] = (shares[number] + data.draw(st.integers(1, Q - 1))) % Q
    if liars > bears and answers > shape.threshold:
        with pytest.raises(AbortError) as refused:
            _opened(shape, shares)
        assert refused.value.rule == Rule.WRONG_SUMS
    elif liars <= bears:
        opened, wrong = _opened(shape, shares)
        assert (opened == secrets).all()
        assert wrong == liars


def test_one_wrong_column_is_enough_to_be_found():
    shape = SHAPES[1]
    _, every = _dealt(shape, columns=40)
    for column in range(40):
        shares = {number: every[number - 1].copy() for number in range(1, shape.threshold + 2)}
        shares[3][column] ^= 1
        with pytest.raises(AbortError):
            _opened(shape, shares)


def test_fewer_than_r_shares_open_nothing():
    shape = SHAPES[1]
    _, every = _dealt(shape)
    with pytest.raises(AbortError) as refused:
        _opened(shape, {number: every[number - 1] for number in range(1, shape.threshold)})
    assert refused.value.rule == Rule.ENOUGH_SUMS


@pytest.mark.parametrize("shape", SHAPES[:3], ids=str)
@settings(max_examples=10)
@given(data=st.data())
def test_t_shares_say_nothing(shape, data):
    """Whatever T decryptors hold, each choice of secrets is explained by exactly one polynomial."""
    members = data.draw(st.permutations(range(1, shape.members + 1)))[: shape.privacy]
    secret_points = tuple(range(-1, -shape.packing - 1, -1))
    values = interpolation(tuple(range(1, shape.threshold + 1)), (*members, *secret_points))
    identity = np.eye(shape.threshold, dtype=np.int64)
    columns = [solve(values, identity[:, column]) for column in range(shape.threshold)]
    assert all(column is not None for column in columns)
    assert (matrix_product(values, np.column_stack(columns)) == identity).all()


def test_interpolation_at_its_own_points_is_the_identity():
    points = (3, 1, 7, 20)
    assert (interpolation(points, points) == np.eye(4, dtype=np.int64)).all()
