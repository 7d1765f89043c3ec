import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey_privacy import wire
from covey_privacy.errors import PeerError
from covey_privacy.five_phases import openings
from covey_privacy.five_phases.messages import Opening, Openings

SHARE = st.integers(0, 255).map(lambda byte: bytes([byte]) * 64)
SAID = st.lists(
    st.tuples(st.integers(0, 9), st.lists(st.tuples(st.integers(0, 9), SHARE), max_size=6)), max_size=12
)
NEAR = {device: tuple(sorted((device + step) % 8 for step in (1, 2, 6, 7))) for device in range(8)}
"""Eight devices on a ring, each with two neighbours on either side; 8 and 9 are nobody."""


def message(device, opened):
    return wire.encode(Openings(device, tuple(Opening(owner, share) for owner, share in opened)))


@given(SAID, st.sets(st.integers(0, 7), min_size=1))
def test_shares_are_found_under_their_owner_and_number(said, owners):
    """Those of strangers, or of who is no owner, are left out; the later of two counts."""
    expected = {owner: {} for owner in sorted(owners)}
    for device, opened in said:
        for owner, share in opened:
            if owner in owners and device in NEAR[owner]:
                expected[owner][NEAR[owner].index(device) + 1] = share
    found = openings.sort([wire.decode(openings.Bundle, message(*each)) for each in said], NEAR, owners)
    assert {owner: found.of(row) for row, owner in enumerate(found.owners)} == expected


def test_half_an_opening_is_refused():
    cut = wire.encode(openings.Bundle(1, bytes(67)))
    with pytest.raises(PeerError, match="in steps of 68 is allowed"):
        wire.decode(openings.Bundle, cut)
