"""The SCRAPE test (Cascudo and David 2017): do all the shares of a secret lie on one polynomial?

m shares numbered x are a word of a Reed-Solomon code. It is orthogonal to every v(x) f(x) of the dual code,
where 1 / v(x) is the product of all x - y, y the other numbers, and f any polynomial of a degree below m - t.
f is drawn anew for each batch of secrets: to who cannot foresee it, wrong shares pass once in 65,537 times.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from covey_privacy.secagg.shamir import PRIME, Limbs, Random, logarithms, parse

Shares = Mapping[int, bytes]

AT_ONCE = 256
"""How many secrets are looked at in one go: their shares stay in the processor's cache."""


def failing(opened: Mapping[int, Shares], threshold: int, random: Random = os.urandom) -> set[int]:
    """Return the owners, of those in `opened`, whose shares by number do not all lie on one polynomial."""
    more = [owner for owner, shares in opened.items() if len(shares) > threshold]
    batches = [more[start : start + AT_ONCE] for start in range(0, len(more), AT_ONCE)]
    return {
        owner
        for batch in batches
        for owner in _failing({owner: opened[owner] for owner in batch}, threshold, random)
    }


def _failing(opened: Mapping[int, Shares], threshold: int, random: Random) -> set[int]:
    present, limbs = _dense(opened.values())
    spare = present.sum(axis=1) - threshold
    word = _dual(present) * _polynomials(int(spare.max()), present.shape[1], random)[spare] % PRIME
    syndromes = np.fmod(word.astype(np.float64)[:, None] @ limbs, PRIME)[:, 0]
    return {owner for owner, syndrome in zip(opened, syndromes, strict=True) if syndrome.any()}


def _dense(shares: Iterable[Shares]) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return which numbers each secret has shares of [secrets, numbers], and their limbs, zero elsewhere."""
    some = list(shares)
    secrets = np.repeat(np.arange(len(some)), [len(each) for each in some])
    numbers = np.array([number for each in some for number in each])
    rows = parse([share for each in some for share in each.values()])
    limbs = np.zeros((len(some), numbers.max() + 1, rows.shape[1]))
    present = np.zeros(limbs.shape[:2], bool)
    limbs[secrets, numbers], present[secrets, numbers] = rows, True
    return present, limbs


def _dual(present: NDArray[np.bool_]) -> Limbs:
    """Return v(x) by secret and number, zero where there is no share; products are sums of logarithms."""
    log, power = logarithms()
    numbers = np.arange(present.shape[1])
    differences = log[(numbers - numbers[:, None]) % PRIME].astype(np.float64)
    np.fill_diagonal(differences, 0)
    products = (present.astype(np.float64) @ differences).astype(np.int64)
    return np.where(present, power[-products % (PRIME - 1)], 0)


def _polynomials(count: int, numbers: int, random: Random) -> Limbs:
    """Return what the first 0, 1 .. `count` terms of a drawn polynomial come to at each number."""
    coefficients = np.frombuffer(random(4 * count), ">u4").astype(np.int64) % PRIME
    found = np.zeros((count + 1, numbers), np.int64)
    powers = np.ones(numbers, np.int64)
    for place, coefficient in enumerate(coefficients):
        found[place + 1] = (found[place] + coefficient * powers) % PRIME
        powers = powers * np.arange(numbers) % PRIME
    return found
