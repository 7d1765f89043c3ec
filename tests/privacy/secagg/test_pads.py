"""Pads: exact for short vectors, linear in the seed, with errors of the stated size; packing of vectors."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey_privacy.errors import MisuseError
from covey_privacy.secagg import pads
from covey_privacy.secagg.field import Q, centred, uniform_elements
from covey_privacy.secagg.shape import RING_SIZE

DIGEST = bytes(range(32))
LENGTHS = [1, 2047, 2048, 2049, 6000, 49 * 2048]


@pytest.mark.parametrize("length", LENGTHS)
def test_sums_of_pads_are_pads_of_sums(length):
    one, two = uniform_elements(b"1" * 32, RING_SIZE), uniform_elements(b"2" * 32, RING_SIZE)
    total = (pads.pad(DIGEST, one, length) + pads.pad(DIGEST, two, length)) % Q
    assert len(total) == length
    assert (pads.pad(DIGEST, (one + two) % Q, length) == total).all()


def test_a_short_pad_is_the_seed_and_a_long_one_is_not():
    seed = uniform_elements(b"1" * 32, RING_SIZE)
    assert (pads.pad(DIGEST, seed, 2048) == seed).all()
    assert not (pads.pad(DIGEST, seed, 2049)[:2048] == seed).any()


def test_pads_of_two_manifests_differ():
    seed = uniform_elements(b"1" * 32, RING_SIZE)
    assert not (pads.pad(DIGEST, seed, 4096) == pads.pad(bytes(32), seed, 4096)).any()


@given(
    st.lists(st.integers(0, Q - 1), min_size=1, max_size=50),
    st.sampled_from((0, 7, 8, 14)),
    st.integers(1, 7),
)
def test_sums_of_packed_vectors_are_within_the_rounding(entries, drop, copies):
    vector = np.array([*entries, 0, 1, Q - 1, Q - 64, Q - 65], np.int64)
    total = pads.VectorSum(len(vector), drop)
    packed = pads.pack(vector, drop)
    assert len(packed) == pads.packed_size(len(vector), drop)
    for _ in range(copies):
        total.add(packed)
    error = centred((total.total() - copies * vector) % Q)
    assert abs(error).max() <= rounding_bound(copies, drop)


def rounding_bound(copies: int, drop: int) -> int:
    """Half a unit a vector, and what is taken off the sum for rounding half up."""
    return copies * (1 << drop >> 1) + (copies // 2 if drop else 0)


def test_what_was_added_can_be_taken_out():
    one, two = uniform_elements(b"1" * 32, 100), uniform_elements(b"2" * 32, 100)
    total = pads.VectorSum(100, 0)
    for each in one, two:
        total.add(pads.pack(each, 0))
    total.remove(pads.pack(one, 0))
    assert (total.total() == two).all()
    assert total.members == 1


def test_errors_are_centred_binomials_of_variance_64():
    """Against the binomial itself: 256 fair coins less 128."""
    drawn = pads.errors(bytes(32), 400_000)
    counts = np.bincount(drawn + 128, minlength=257)
    expected = np.array([math.comb(256, heads) / 2**256 for heads in range(257)]) * len(drawn)
    kept = expected > 20
    chi2 = ((counts - expected)[kept] ** 2 / expected[kept]).sum()
    assert abs(chi2 - kept.sum()) < 6 * math.sqrt(2 * kept.sum())
    assert abs(drawn.var() / pads.ERROR_VARIANCE - 1) < 0.01


def test_rounding_half_up_leaves_no_bias():
    vectors = np.random.default_rng(0).integers(0, Q, (101, 20_000))
    total = pads.VectorSum(20_000, 7)
    for vector in vectors:
        total.add(pads.pack(vector, 7))
    error = centred((total.total() - vectors.sum(axis=0)) % Q)
    assert abs(error.mean()) < 6 * math.sqrt(101 * 4**7 / 12 / 20_000)
    assert abs(error.var() / (101 * 4**7 / 12) - 1) < 0.05


@pytest.mark.parametrize(
    ("length", "most", "steps", "drop"),
    [
        (2048, 1000, 1.0, 0),
        (2049, 1000, 1e7, 14),
        (100_000, 1000, math.sqrt(64_000 / 0.001), 0),
        (100_000, 1000, math.sqrt(1000 * (64 + 4**7 / 12) / 0.001) + 1, 7),
        (100_000, 1000, math.sqrt(1000 * (64 + 4**8 / 12) / 0.001) + 1, 8),
    ],
)
def test_the_largest_drop_that_the_noise_bears_is_chosen(length, most, steps, drop):
    assert pads.choose_drop(length, most, steps) == drop


def test_a_noise_that_does_not_bear_the_errors_is_refused():
    with pytest.raises(MisuseError, match="scale vectors by a larger factor"):
        pads.choose_drop(2049, 1000, math.sqrt(64_000 / 0.001) - 1)
