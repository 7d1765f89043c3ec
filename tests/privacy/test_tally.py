import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey_privacy.errors import PeerError
from covey_privacy.five_phases import ring
from covey_privacy.five_phases.tally import Tally

VECTORS = st.integers(1, 20).flatmap(
    lambda length: st.lists(
        st.lists(st.integers(0, 2**32 - 1), min_size=length, max_size=length), min_size=1, max_size=40
    )
)


def tallied(packed, length, bits):
    tally = Tally(length, bits)
    for each in packed:
        tally.add(each)
    return tally.total()


@given(VECTORS, st.integers(1, 32))
def test_a_tally_is_the_sum_in_the_ring(vectors, bits):
    vectors = np.array(vectors, np.uint32)
    total = tallied([ring.pack(vector, bits) for vector in vectors], vectors.shape[1], bits)
    assert np.array_equal(total, ring.reduce(vectors.sum(axis=0, dtype=np.uint32), bits))


@given(VECTORS, st.integers(1, 32), st.data())
def test_tallies_of_tallies_are_one_tally(vectors, bits, data):
    packed, length = [ring.pack(np.array(vector, np.uint32), bits) for vector in vectors], len(vectors[0])
    cut = data.draw(st.integers(0, len(packed)))
    parts = [ring.pack(tallied(part, length, bits), bits) for part in (packed[:cut], packed[cut:])]
    assert np.array_equal(tallied(parts, length, bits), tallied(packed, length, bits))


@pytest.mark.parametrize("bits", [20, 24])
def test_no_plane_overflows(bits):
    """All ones 70,000 times: more than counters of 16 bits hold, and a plane of 16 bits passes 2^32."""
    ones, tally = ring.pack(np.full(3, 2**32 - 1, np.uint32), bits), Tally(3, bits)
    for _ in range(70_000):
        tally.add(ones)
    assert tally.total().tolist() == [-70_000 % 2**bits] * 3


def test_a_vector_of_another_size_is_refused_and_not_counted():
    tally = Tally(3, 20)
    tally.add(ring.pack(np.array([1, 2, 3], np.uint32), 20))
    with pytest.raises(PeerError, match="9 bytes arrived; 10 were expected"):
        tally.add(bytes(9))
    assert tally.total().tolist() == [1, 2, 3]
