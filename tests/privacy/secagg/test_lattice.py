"""The lattice estimate of long pads, held against the Homomorphic Encryption Standard and the prototype."""

import math

import pytest

from covey_privacy.secagg.field import Q
from covey_privacy.secagg.lattice import (
    HINTED_VARIANCE,
    estimate_attacks,
    estimate_pad,
)
from covey_privacy.secagg.pads import ERROR_VARIANCE

STANDARD = """
    1024   128  29 131.2   192  21 192.5   256  16 265.8
    2048   128  56 129.8   192  39 197.6   256  31 258.6
    4096   128 111 128.2   192  77 194.7   256  60 260.4
    8192   128 220 128.5   192 154 192.2   256 120 256.5
    16384  128 440 128.1   192 307 192.1   256 239 256.6
    32768  128 880 128.8   192 612 193.0   256 478 256.4
"""
"""N, then security level, log2 q and bits of the primal attack (uSVP): the uniform rows of table 1 of the
Homomorphic Encryption Standard, v1.1, 2018; the deviation of an error is 8 / sqrt(2 pi), about 3.2."""

PROTOTYPE = """
    1024  31   3.2         312  91.1   311  90.8
    1024  31  22.627417    410 119.7   409 119.4
    1024  31  45.254834    454 132.6   452 132.0
    2048  31   3.2         779 227.5   777 226.9
    2048  31   5.656854    835 243.8   833 243.2
    1024  29   3.2         345 100.7   344 100.4
    2048  56   3.2         336  98.1   336  98.1
"""
"""N, log2 q, deviation, primal block and core-SVP bits, dual block and bits: what params.py printed."""


def rows(table):
    return [[float(cell) for cell in line.split()] for line in table.strip().splitlines()]


STANDARD_ROWS = [(int(n), *row[i : i + 3]) for n, *row in rows(STANDARD) for i in range(0, len(row), 3)]


@pytest.mark.parametrize(("dimension", "level", "log_q", "bits"), STANDARD_ROWS)
def test_the_primal_attack_costs_what_the_standard_says(dimension, level, log_q, bits):
    found = estimate_attacks(dimension, 2.0**log_q, 8 / math.sqrt(2 * math.pi))
    assert found.standard_bits == pytest.approx(bits, abs=0.4)
    assert found.standard_bits > level - 0.4


@pytest.mark.parametrize(("dimension", "level", "log_q", "bits"), STANDARD_ROWS)
def test_core_svp_is_more_conservative_than_the_standard(dimension, level, log_q, bits):
    found = estimate_attacks(dimension, 2.0**log_q, 3.2)
    assert 27 < bits - found.core_svp_bits < 36
    if level == 128:
        assert 93 <= found.core_svp_bits <= 101


@pytest.mark.parametrize("row", rows(PROTOTYPE))
def test_blocks_and_bits_of_the_prototype(row):
    dimension, log_q, deviation, *expected = row
    found = estimate_attacks(int(dimension), 2.0**log_q, deviation)
    bits = round(found.primal_bits, 1), round(found.dual_bits, 1)
    assert [found.primal_block, bits[0], found.dual_block, bits[1]] == expected


def test_the_page_claims_243_bits_for_a_pad():
    """By core-SVP. In the model that gives 131 to the standard's 128-bit row, it is 275."""
    found = estimate_pad()
    assert math.floor(found.core_svp_bits) == 243
    assert math.floor(found.standard_bits) == 275
    assert round(estimate_attacks(1024, 2.0**29, 3.2).standard_bits) == 131
    assert found.standard_bits > estimate_attacks(2048, 2.0**31, 3.2).standard_bits > 256


def test_the_estimate_is_of_the_protocols_numbers():
    assert math.log2(Q) < 31
    assert estimate_pad() == estimate_attacks(2048, Q, 8 / math.sqrt(2))


def test_the_variance_of_an_error_and_of_one_of_two_whose_sum_is_known():
    """128 coins less 128 coins are 256 coins less 128. Of two such, given the sum, one is hypergeometric."""
    assert ERROR_VARIANCE == 256 / 4
    half, coins = 256, 512
    ways = [math.comb(half, x) ** 2 for x in range(half + 1)]  # the sum is 256 of 512 coins: the mean
    mean = sum(x * w for x, w in enumerate(ways)) / math.comb(coins, half)
    variance = sum((x - mean) ** 2 * w for x, w in enumerate(ways)) / math.comb(coins, half)
    assert mean == half / 2
    assert variance == pytest.approx(HINTED_VARIANCE, rel=0.01)


@pytest.mark.parametrize(
    ("changed", "other"),
    [((2048, 2.0**32, 5.7), (2048, 2.0**31, 5.7)), ((1024, 2.0**31, 5.7), (2048, 2.0**31, 5.7)),
     ((2048, 2.0**31, 4.0), (2048, 2.0**31, 5.7))],
)  # fmt: skip
def test_a_greater_modulus_a_smaller_ring_and_a_smaller_error_are_weaker(changed, other):
    assert estimate_attacks(*changed).core_svp_bits < estimate_attacks(*other).core_svp_bits
