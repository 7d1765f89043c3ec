"""The SCRAPE test (Cascudo and David 2017): do all the shares of a secret lie on one polynomial?

m shares numbered x are a word of a Reed-Solomon code. It is orthogonal to every v(x) f(x) of the dual code,
where 1 / v(x) is the product of all x - y, y the other numbers, and f any polynomial of a degree below m - t.
f is drawn anew for each batch of secrets: to who cannot foresee it, wrong shares pass once in 65,537 times.
"""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from covey_privacy.five_phases.shamir import PRIME, Limbs, Random, logarithms

Came = NDArray[np.bool_]


def fit(came: Came, shares: Limbs, threshold: int, random: Random = os.urandom) -> Came:
    """Return, for each secret, whether the shares that came lie on one polynomial of degree t - 1.

    `came`, [secrets, n], says which of the shares numbered 1 to n did, t or more of each; `shares`,
    [secrets, n, limbs], are they, anything where none came.
    """
    spare = came.sum(axis=1) - threshold
    polynomials = _polynomials(int(spare.max(initial=0)), came.shape[1], random)
    word = _dual(came) * polynomials[spare] % PRIME
    # Products of doubles: each is below 2^32, so that sums of up to 2^21 of them are exact.
    syndromes = np.fmod(word.astype(np.float64)[:, None] @ shares.astype(np.float64), PRIME)
    return np.asarray(~syndromes[:, 0].any(axis=1))


def _dual(came: Came) -> Limbs:
    """Return v(x) by secret and number, zero where no share came; products are sums of logarithms."""
    log, power = logarithms()
    numbers = np.arange(1, came.shape[1] + 1)
    differences = log[(numbers - numbers[:, None]) % PRIME].astype(np.float64)
    products = (came.astype(np.float64) @ differences).astype(np.int64)
    return np.where(came, power[-products % (PRIME - 1)], 0)


def _polynomials(count: int, numbers: int, random: Random) -> Limbs:
    """Return what the first 0, 1 .. `count` terms of a drawn polynomial come to at each number."""
    coefficients = np.frombuffer(random(4 * count), ">u4").astype(np.int64) % PRIME
    found = np.zeros((count + 1, numbers), np.int64)
    powers = np.ones(numbers, np.int64)
    for place, coefficient in enumerate(coefficients):
        found[place + 1] = (found[place] + coefficient * powers) % PRIME
        powers = powers * np.arange(1, numbers + 1) % PRIME
    return found
