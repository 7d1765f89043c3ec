"""The list of points is X25519's own: what it refuses to share a secret with."""

import os

import pytest

from covey_privacy.errors import PeerError
from covey_privacy.five_phases.low_order import LOW_ORDER
from covey_privacy.five_phases.masks import KeyPair
from covey_privacy.rules import Rule


@pytest.mark.parametrize("point", sorted(LOW_ORDER), ids=bytes.hex)
def test_no_secret_is_shared_with_a_listed_point(point):
    with pytest.raises(PeerError) as refused:
        KeyPair(os.urandom(32)).exchange(point)
    assert refused.value.rule is Rule.LOW_ORDER_KEY


def test_the_list_has_all_seven_points_and_no_more():
    assert len(LOW_ORDER) == 14
    neighbours = {
        (int.from_bytes(point, "little") + step).to_bytes(33, "little")[:32]
        for point in LOW_ORDER
        for step in (1, 2, 3)
    }
    for key in neighbours - LOW_ORDER:
        assert any(KeyPair(b"\x05" * 32).exchange(key))
