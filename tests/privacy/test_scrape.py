"""Wrong shares are told from right ones without opening anything."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey_privacy.secagg import scrape, shamir

SECRET = bytes(range(32))


@st.composite
def shared(draw):
    """A threshold, and some of the shares of a secret, more than open it."""
    most = draw(st.integers(2, 40))
    threshold = draw(st.integers(1, most - 1))
    numbers = draw(st.sets(st.integers(1, most), min_size=threshold + 1))
    shares = shamir.split(SECRET, threshold, most, os.urandom)
    return threshold, {number: shares[number - 1] for number in numbers}


def off_by_one(share: bytes) -> bytes:
    return bytes([*share[:3], share[3] ^ 1, *share[4:]])


@given(shared())
def test_the_shares_of_a_secret_pass(drawn):
    threshold, shares = drawn
    assert scrape.failing({7: shares}, threshold) == set()


@given(shared(), st.data())
def test_a_wrong_share_fails_wherever_it_stands(drawn, data):
    threshold, shares = drawn
    wrong = data.draw(st.sampled_from(sorted(shares)))
    spoilt = {**shares, wrong: off_by_one(shares[wrong])}
    failed = [scrape.failing({1: shares, 2: spoilt}, threshold) for _ in range(3)]
    assert {2} in failed
    assert set().union(*failed) == {2}


def test_wrong_shares_that_cancel_under_one_polynomial_fail_under_another():
    """Two liars who know the dual code, but not what is drawn, choose what a fixed check would pass."""
    numbers, threshold = range(1, 7), 3
    shares = dict(zip(numbers, shamir.split(SECRET, threshold, 6, os.urandom), strict=True))
    present = scrape._dense([shares])[0]
    dual = scrape._dual(present)[0]
    limb = int.from_bytes(shares[1][:4])
    other = int.from_bytes(shares[2][:4])
    error = -int(dual[1]) * pow(int(dual[2]), -1, shamir.PRIME)
    spoilt = {
        **shares,
        1: ((limb + 1) % shamir.PRIME).to_bytes(4) + shares[1][4:],
        2: ((other + error) % shamir.PRIME).to_bytes(4) + shares[2][4:],
    }
    ones = scrape.failing({1: spoilt}, threshold, random=lambda count: b"\0\0\0\1" + bytes(count - 4))
    assert ones == set()
    assert scrape.failing({1: spoilt}, threshold) == {1}


@pytest.mark.parametrize("count", [scrape.AT_ONCE - 1, scrape.AT_ONCE + 1, 2 * scrape.AT_ONCE])
def test_every_batch_is_looked_at(count):
    shares = dict(enumerate(shamir.split(SECRET, 2, 4, os.urandom), 1))
    wrong = {**shares, 4: off_by_one(shares[4])}
    assert scrape.failing({**dict.fromkeys(range(count), shares), 0: wrong, count: wrong}, 2) == {0, count}


def test_just_enough_shares_can_not_be_told_apart():
    shares = dict(enumerate(shamir.split(SECRET, 3, 3, os.urandom), 1))
    assert scrape.failing({1: {**shares, 3: off_by_one(shares[3])}}, 3) == set()
