"""The ring: transforms there and back, and products that are those of X^2048 = -1."""

from __future__ import annotations

import numpy as np
import pytest

from covey_privacy.secagg import ntt
from covey_privacy.secagg.field import Q, multiply
from covey_privacy.secagg.shape import RING_SIZE


def _polynomials(count: int, seed: int = 0) -> np.ndarray:
    made = np.random.default_rng(seed).integers(0, Q, (count, RING_SIZE))
    made[0, :100] = Q - 1
    return made


def test_back_and_forth_is_the_same():
    polynomials = _polynomials(3)
    assert (ntt.backward(ntt.forward(polynomials)) == polynomials).all()


@pytest.mark.parametrize("place", [0, 1, 17, 2046, 2047])
def test_a_product_is_the_negacyclic_convolution(place):
    a, b = _polynomials(1), _polynomials(1, 1)
    product = ntt.backward(multiply(ntt.forward(a), ntt.forward(b)))
    terms = (
        int(a[0, i]) * int(b[0, (place - i) % RING_SIZE]) * (1 if i <= place else -1)
        for i in range(RING_SIZE)
    )
    assert int(product[0, place]) == sum(terms) % Q


def test_x_to_the_2048_is_minus_1():
    x, x_2047 = np.zeros((1, RING_SIZE), np.int64), np.zeros((1, RING_SIZE), np.int64)
    x[0, 1] = x_2047[0, -1] = 1
    product = ntt.backward(multiply(ntt.forward(x), ntt.forward(x_2047)))
    assert product[0].tolist() == [Q - 1] + [0] * (RING_SIZE - 1)
