"""Wrong shares are told from right ones without opening anything."""

import os

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from covey_privacy.five_phases import scrape, shamir

SECRET = bytes(range(32))


@st.composite
def shared(draw):
    """A threshold, all shares of a secret [n, limbs], and which of them came: more than open it."""
    most = draw(st.integers(2, 40))
    threshold = draw(st.integers(1, most - 1))
    came = np.zeros(most, bool)
    came[list(draw(st.sets(st.integers(0, most - 1), min_size=threshold + 1)))] = True
    return threshold, shamir.parse(shamir.split(SECRET, threshold, most, os.urandom)), came


def off_by_one(shares, place, limb=1):
    spoilt = shares.copy()
    spoilt[place, limb] = (spoilt[place, limb] + 1) % shamir.PRIME
    return spoilt


def fit(came, shares, threshold, **more):
    return scrape.fit(np.array([came] * len(shares)), np.array(shares), threshold, **more).tolist()


@given(shared())
def test_the_shares_of_a_secret_fit(drawn):
    threshold, shares, came = drawn
    assert fit(came, [shares], threshold) == [True]


@given(shared(), st.data())
def test_a_wrong_share_does_not_fit_wherever_it_stands(drawn, data):
    threshold, shares, came = drawn
    place = data.draw(st.sampled_from(np.flatnonzero(came).tolist()))
    spoilt = off_by_one(shares, place, data.draw(st.integers(0, 15)))
    tried = [fit(came, [shares, spoilt], threshold) for _ in range(3)]
    assert [True, False] in tried
    assert all(good for good, _ in tried)


@given(shared(), st.data())
def test_a_share_that_did_not_come_does_not_count(drawn, data):
    threshold, shares, came = drawn
    for place in np.flatnonzero(~came):
        shares[place] = data.draw(st.integers(0, 2**32 - 1))
    assert fit(came, [shares], threshold) == [True]


def test_wrong_shares_that_cancel_under_one_polynomial_fail_under_another():
    """Two liars who know the dual code, but not what is drawn, choose what a fixed check would pass."""
    threshold, came = 3, np.ones(6, bool)
    shares = shamir.parse(shamir.split(SECRET, threshold, 6, os.urandom))
    dual = scrape._dual(came[None])[0]
    error = -int(dual[0]) * pow(int(dual[1]), -1, shamir.PRIME)
    spoilt = off_by_one(shares, 0, 0)
    spoilt[1, 0] = (spoilt[1, 0] + error) % shamir.PRIME
    assert fit(came, [spoilt], threshold, random=lambda count: b"\0\0\0\1" + bytes(count - 4)) == [True]
    assert fit(came, [spoilt], threshold) == [False]


def test_just_enough_shares_can_not_be_told_apart():
    shares = shamir.parse(shamir.split(SECRET, 3, 3, os.urandom))
    assert fit(np.ones(3, bool), [off_by_one(shares, 2)], 3) == [True]


def test_no_secret_is_no_trouble():
    assert scrape.fit(np.zeros((0, 5), bool), np.zeros((0, 5, 16), np.int64), 3).tolist() == []
