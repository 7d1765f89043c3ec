from dataclasses import dataclass
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey_privacy import wire
from covey_privacy.errors import MisuseError, PeerError
from covey_privacy.fixed_records import layout


@dataclass(frozen=True, slots=True)
class Inner:
    key: Annotated[bytes, wire.Size(3)]


@dataclass(frozen=True, slots=True)
class Item:
    number: wire.U32
    inner: Inner
    time: wire.U64


@dataclass(frozen=True, slots=True)
class Roll:
    items: Annotated[tuple[Item, ...], wire.Records(1, 4)]


@dataclass(frozen=True, slots=True)
class Keys:
    keys: Annotated[tuple[wire.Bytes32, ...], wire.Records(0, 2)]


ITEMS = st.builds(
    Item,
    st.integers(0, 2**32 - 1),
    st.builds(Inner, st.binary(min_size=3, max_size=3)),
    st.integers(0, 2**64 - 1),
)


@given(st.lists(ITEMS, min_size=1, max_size=4))
def test_records_come_back_and_are_as_long_for_any_values(items):
    sent = wire.encode(Roll(tuple(items)))
    assert wire.decode(Roll, sent) == Roll(tuple(items))
    assert len(sent) == len(wire.encode(Roll((Item(0, Inner(bytes(3)), 0),) * len(items))))


def test_fields_lie_end_to_end_big_endian():
    assert layout(Item).pack_one(Item(1, Inner(b"abc"), 2)) == b"\0\0\0\x01abc" + bytes(7) + b"\x02"


def test_single_values_are_records_too():
    assert wire.decode(Keys, wire.encode(Keys((b"a" * 32, b"b" * 32)))).keys == (b"a" * 32, b"b" * 32)


@pytest.mark.parametrize("count", [0, 5])
def test_as_many_as_are_allowed(count):
    data = wire.encode(Keys(())).replace(b"\x40", bytes([0x58, 15 * count]) + bytes(15 * count))
    with pytest.raises(PeerError, match=r"Roll\.items is to be 1\.\.4 records of 15 bytes"):
        wire.decode(Roll, data)


@pytest.mark.parametrize("value", [b"\x81\x41\x00", b"\x81\x80", b"\x81\x60", b"\x81\x81\x01"])
def test_what_is_no_whole_number_of_records(value):
    with pytest.raises(PeerError, match=r"Roll\.items"):
        wire.decode(Roll, value)


@pytest.mark.parametrize(
    "item",
    [
        Item(-1, Inner(b"abc"), 0),
        Item(2**32, Inner(b"abc"), 0),
        Item(0, Inner(b"ab"), 0),
        Item(0, Inner(b"abcd"), 0),
        Item(0, Inner(b"abc"), "1"),
    ],
)
def test_what_does_not_fit_is_never_cut_or_padded(item):
    with pytest.raises(MisuseError, match="no record of"):
        wire.encode(Roll((item,)))


def test_a_type_without_a_fixed_size_has_no_layout():
    with pytest.raises(TypeError, match="no fixed size"):
        layout(wire.Name)
