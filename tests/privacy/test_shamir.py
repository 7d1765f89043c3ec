import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covey_privacy.errors import AbortError, MisuseError
from covey_privacy.five_phases import openings, shamir
from covey_privacy.five_phases.recovery import OWNERS_AT_ONCE, recover, recover_all


@settings(max_examples=40, deadline=None)
@given(st.binary(min_size=32, max_size=64).filter(lambda s: len(s) % 32 == 0), st.integers(1, 40), st.data())
def test_any_threshold_of_shares_gives_the_secret(secret, threshold, data):
    count = data.draw(st.integers(threshold, 60))
    shares = shamir.split(secret, threshold, count, os.urandom)
    chosen = data.draw(st.permutations(range(1, count + 1)))[:threshold]
    assert shamir.combine(chosen, [shares[x - 1] for x in chosen]) == secret


def test_limbs_at_the_edge_of_the_field():
    for secret in (bytes(32), b"\xff" * 32):
        shares = shamir.split(secret, 3, 5, os.urandom)
        assert shamir.combine([2, 4, 5], [shares[1], shares[3], shares[4]]) == secret


def test_fewer_shares_than_the_threshold_say_nothing():
    """One limb of one of two needed shares over 4,000 sharings of the same secret: every sixteenth alike."""
    limbs = [shamir.parse(shamir.split(bytes(32), 2, 2, os.urandom)[:1])[0] for _ in range(250)]
    counts = [0] * 16
    for row in limbs:
        for limb in row:
            counts[min(int(limb) // 4096, 15)] += 1
    expected = 250 * 16 / 16
    assert sum((count - expected) ** 2 / expected for count in counts) < 60


@pytest.mark.parametrize(("threshold", "count"), [(0, 3), (4, 3), (2, 70_000)])
def test_impossible_thresholds(threshold, count):
    with pytest.raises(MisuseError):
        shamir.split(bytes(32), threshold, count, os.urandom)


def test_a_repeated_share_is_refused():
    shares = shamir.split(bytes(32), 2, 3, os.urandom)
    with pytest.raises(MisuseError, match="same number"):
        shamir.combine([1, 1], [shares[0], shares[0]])


def test_a_limb_outside_the_field_is_refused():
    with pytest.raises(MisuseError, match="outside"):
        shamir.parse([b"\x00\x01\x00\x01" + bytes(60)])


@pytest.mark.parametrize("liars", [{1}, {3, 4}, {2, 9}])
def test_wrong_shares_are_found_and_named(liars):
    secret = os.urandom(32)
    shares = dict(enumerate(shamir.split(secret, 5, 12, os.urandom), 1))
    for liar in liars:
        shares[liar] = bytes(60) + os.urandom(2).rjust(4, b"\0")
    recovered = recover(shares, 5, lambda found: found == secret)
    assert recovered.secret == secret
    assert set(recovered.wrong) == liars


def test_too_few_good_shares_abort():
    secret = os.urandom(32)
    shares = dict(enumerate(shamir.split(secret, 5, 6, os.urandom)[:4], 1))
    with pytest.raises(AbortError):
        recover(shares, 5, lambda found: found == secret)


def sent(shares):
    """The shares, told by owner and number, as they come from neighbours 1 to 12 of each owner."""

    def of(number):
        return b"".join(owner.to_bytes(4) + each[number] for owner, each in shares.items() if number in each)

    bundles = [openings.Bundle(number, of(number)) for number in range(1, 13)]
    return openings.sort(bundles, dict.fromkeys(shares, tuple(range(1, 13))), shares)


def test_many_owners_at_once_some_of_whose_neighbours_lie():
    """Each owner's shares have come from other neighbours; one owner's have a wrong one, one's no share."""
    secrets = {owner: os.urandom(32) for owner in range(OWNERS_AT_ONCE + 5)}
    opened = {}
    for owner, secret in secrets.items():
        shares = dict(enumerate(shamir.split(secret, 5, 12, os.urandom), 1))
        opened[owner] = {x: shares[x] for x in shares if (x + owner) % 3}
    opened[8][2], opened[9][2] = opened[9][2], opened[8][2]
    opened[10][1] = b"\xff" * 64
    found = recover_all(sent(opened), 5, lambda owner, secret: secret == secrets[owner])
    assert {owner: each.secret for owner, each in found.items()} == secrets
    assert {owner: each.wrong for owner, each in found.items() if each.wrong} == {8: (2,), 9: (2,), 10: (1,)}


def test_honest_shares_are_opened_in_one_go(monkeypatch):
    """Though it would find their secrets, too, nobody is left to the slow way that looks for lies."""
    monkeypatch.delattr("covey_privacy.five_phases.recovery.recover")
    secrets = {owner: os.urandom(32) for owner in range(9)}
    opened = {}
    for owner, secret in secrets.items():
        shares = shamir.split(secret, 5, 12, os.urandom)
        opened[owner] = {x: share for x, share in enumerate(shares, 1) if x % 9 >= owner % 4}
    opened[8] = {x: opened[8][x] for x in list(opened[8])[-5:]}
    found = recover_all(sent(opened), 5, lambda owner, secret: secret == secrets[owner])
    assert {owner: each.secret for owner, each in found.items()} == secrets


def test_one_owner_with_too_few_shares_aborts_all():
    opened = {owner: dict(enumerate(shamir.split(bytes(32), 5, 6, os.urandom), 1)) for owner in (1, 2)}
    opened[2] = {x: opened[2][x] for x in (1, 2, 3, 4)}
    with pytest.raises(AbortError, match="5 good shares are needed to open a mask; 4 came"):
        recover_all(sent(opened), 5, lambda _owner, secret: secret == bytes(32))


def test_no_share_at_all_aborts():
    with pytest.raises(AbortError, match="0 came"):
        recover_all(sent({1: {}, 2: {}}), 5, lambda _owner, _secret: True)


@given(st.lists(st.integers(1, 65_536), min_size=1, max_size=40, unique=True), st.integers(0, 65_536))
def test_weights_are_lagranges(points, at):
    def lagrange(i: int) -> int:
        weight = 1
        for j, other in enumerate(points):
            if j != i:
                weight = weight * (at - other) * pow(points[i] - other, -1, shamir.PRIME) % shamir.PRIME
        return weight

    assert shamir._weights(np.array([points]), at)[0].tolist() == [lagrange(i) for i in range(len(points))]
