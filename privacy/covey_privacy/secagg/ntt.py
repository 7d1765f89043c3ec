"""The ring R_q = Z_q[X] / (X^2048 + 1) in the domain of its number-theoretic transform (NTT).

The transform is negacyclic: it takes a polynomial to its values at the odd powers of psi, a root of unity of
order 4096, in bit-reversed order. A product in the ring is a product of values, entry by entry. Butterflies
after Cooley-Tukey forward and Gentleman-Sande back (Longa and Naehrig 2016), over all rows at once.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from covey_privacy.secagg.field import Elements, Q, add, inverse, multiply, subtract
from covey_privacy.secagg.shape import RING_SIZE


def forward(polynomials: Elements) -> Elements:
    """Return the transform of each row of coefficients, shape (rows, 2048)."""
    values, roots = polynomials.copy(), _roots()[0]
    rows, width, blocks = len(values), RING_SIZE, 1
    while blocks < RING_SIZE:
        width //= 2
        pairs = values.reshape(rows, blocks, 2, width)
        left, right = pairs[:, :, 0].copy(), multiply(pairs[:, :, 1], roots[blocks : 2 * blocks, None])
        pairs[:, :, 0], pairs[:, :, 1] = add(left, right), subtract(left, right)
        blocks *= 2
    return values


def backward(values: Elements) -> Elements:
    """Return the coefficients whose transform each row is, shape (rows, 2048)."""
    polynomials, roots = values.copy(), _roots()[1]
    rows, width, blocks = len(polynomials), 1, RING_SIZE
    while blocks > 1:
        blocks //= 2
        pairs = polynomials.reshape(rows, blocks, 2, width)
        left, right = pairs[:, :, 0].copy(), pairs[:, :, 1].copy()
        pairs[:, :, 0] = add(left, right)
        pairs[:, :, 1] = multiply(subtract(left, right), roots[blocks : 2 * blocks, None])
        width *= 2
    return multiply(polynomials, np.array(inverse(RING_SIZE)))


@cache
def _roots() -> tuple[Elements, Elements]:
    """Return the powers of psi and of 1 / psi, each in bit-reversed order.

    psi comes from the least g that is no square: the same on every platform.
    """
    generator = next(g for g in range(2, Q) if pow(g, (Q - 1) // 2, Q) != 1)
    psi = pow(generator, (Q - 1) // (2 * RING_SIZE), Q)
    bits = RING_SIZE.bit_length() - 1
    order = [int(f"{place:0{bits}b}"[::-1], 2) for place in range(RING_SIZE)]
    powers = [[pow(root, place, Q) for place in order] for root in (psi, inverse(psi))]
    return np.array(powers[0], np.int64), np.array(powers[1], np.int64)
