"""Packed Shamir sharing (Franklin and Yung 1992) over Z_q, many polynomials at a time.

Decryptor j's share is the polynomial's value at j, 1 to m; its secrets are the values at -1 to -rho. The
polynomial has degree below R, so that any R values determine it. A column is one polynomial.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from covey_privacy.errors import AbortError
from covey_privacy.protocol_rules import Rule
from covey_privacy.secagg.field import Elements, Q, add, matrix_product, multiply, solve, subtract
from covey_privacy.secagg.shape import Shape


def complete(shape: Shape, first: Elements) -> tuple[Elements, Elements]:
    """Return secrets and remaining shares of the polynomials whose first R shares are given.

    Args:
        first: shares of decryptors 1 to R, shape (R, columns).

    Returns:
        The secrets, shape (rho, columns), and the shares of decryptors R + 1 to m, shape (m - R, columns).
    """
    rest = matrix_product(_completion(shape), first)
    return rest[: shape.packing], rest[shape.packing :]


def shares_of(shape: Shape, first: Elements) -> Elements:
    """Return the shares of all decryptors, shape (m, columns), from those of the first R."""
    return np.vstack([first, matrix_product(_completion(shape)[shape.packing :], first)])


def open_secrets(shape: Shape, shares: Mapping[int, Elements], mixing: Elements) -> tuple[Elements, int]:
    """Return the secrets, and how many wrong shares were corrected.

    A random combination of the columns shows whose row is wrong, which one decoding then corrects.

    Args:
        shares: rows by decryptor, each of shape (columns,).
        mixing: the combination's coefficients, shape (columns,); random, and unknown to who made the shares.

    Raises:
        AbortError: fewer than R shares, or more wrong ones than can be corrected.
    """
    points = tuple(sorted(shares))
    if len(points) < shape.threshold:
        raise AbortError(
            f"{len(points)} sums of shares were opened; {shape.threshold} are needed", rule=Rule.ENOUGH_SUMS
        )
    rows = np.stack([shares[point] for point in points])
    corrects = min(shape.corrects, (len(points) - shape.threshold) // 2)
    combined = matrix_product(rows, mixing[:, None])[:, 0]
    good = _good(shape.threshold, points, combined, corrects)
    if good is not None:
        at = tuple(points[place] for place in good[: shape.threshold])
        body = rows[good[: shape.threshold]]
        wrong = np.flatnonzero((matrix_product(interpolation(at, points), body) != rows).any(axis=1))
        if len(wrong) <= corrects:
            return matrix_product(interpolation(at, _secret_points(shape)), body), len(wrong)
    raise AbortError(
        f"more than {corrects} of {len(points)} sums of shares are wrong; the sum cannot be opened",
        rule=Rule.WRONG_SUMS,
    )


@lru_cache(64)
def interpolation(points: tuple[int, ...], at: tuple[int, ...]) -> Elements:
    """Return the matrix that takes a polynomial's values at `points` to its values `at` others.

    Lagrange's formula; all points are small integers, and so are their differences, whose inverses come from
    a table. Shape (len(at), len(points)).
    """
    if not at:
        return np.zeros((0, len(points)), np.int64)
    known, wanted = np.array(points, np.int64), np.array(at, np.int64)
    apart = wanted[:, None] - known
    weights = _product(np.where(np.eye(len(points), dtype=bool), 1, known[:, None] - known))
    entries = multiply(_product(apart)[:, None], _inverses(apart))
    entries = multiply(entries, _inverse_elements(weights))
    same = apart == 0
    return np.where(same.any(axis=1)[:, None], same.astype(np.int64), entries)


def _product(factors: Elements) -> Elements:
    """Return the product of each row of small integers."""
    total = np.ones(len(factors), np.int64)
    for column in (factors % Q).T:
        total = multiply(total, column)
    return total


def _inverses(small: Elements) -> Elements:
    """Return the inverses of small integers, 0 for 0."""
    most = int(np.abs(small).max())
    table = np.zeros(2 * most + 1, np.int64)
    for number in range(1, most + 1):
        table[number] = 1 if number == 1 else (Q - Q // number) * int(table[Q % number]) % Q
        table[-number] = Q - table[number]
    return table[small]


def _inverse_elements(elements: Elements) -> Elements:
    return np.array([pow(int(element), -1, Q) for element in elements], np.int64)


@lru_cache(64)
def _completion(shape: Shape) -> Elements:
    first = tuple(range(1, shape.threshold + 1))
    return interpolation(first, (*_secret_points(shape), *range(shape.threshold + 1, shape.members + 1)))


def _secret_points(shape: Shape) -> tuple[int, ...]:
    return tuple(range(-1, -shape.packing - 1, -1))


def _good(threshold: int, points: tuple[int, ...], values: Elements, corrects: int) -> Elements | None:
    """Return the places of `values` that lie on one polynomial of degree below `threshold`.

    Berlekamp and Welch: a monic E of degree `corrects`, zero where a value is wrong, and N = E * polynomial
    satisfy N(x) = E(x) value(x) everywhere. None where no such pair exists. A good value may be left out.
    """
    powers = np.ones((len(points), threshold + corrects), np.int64)
    for column in range(1, threshold + corrects):
        powers[:, column] = multiply(powers[:, column - 1], np.array(points, np.int64))
    weighted = multiply(powers[:, :corrects], values[:, None])
    unknowns = np.hstack([powers, subtract(np.zeros_like(weighted), weighted)])
    solution = solve(unknowns, multiply(powers[:, corrects], values))
    if solution is None:
        return None
    lower = matrix_product(powers[:, :corrects], solution[threshold + corrects :, None])[:, 0]
    return np.flatnonzero(add(lower, powers[:, corrects]))
