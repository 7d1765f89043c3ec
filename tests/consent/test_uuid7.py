import uuid

from hypothesis import given
from hypothesis import strategies as st

from covey_consent.storage.uuid7 import uuid7

MOMENT = st.integers(0, 2**48 - 1)


@given(MOMENT)
def test_it_is_a_uuid_of_version_7_that_holds_its_time(at):
    made = uuid.UUID(uuid7(at))
    assert (made.version, made.variant, made.int >> 80) == (7, uuid.RFC_4122, at)


@given(MOMENT, MOMENT)
def test_the_later_sorts_later(one, other):
    assert one == other or (uuid7(one) < uuid7(other)) == (one < other)


def test_no_two_are_the_same():
    assert len({uuid7(1_800_000_000_000) for _ in range(1000)}) == 1000
