import math
from dataclasses import dataclass
from typing import Annotated

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey_privacy import wire
from covey_privacy.errors import PeerError


@dataclass(frozen=True, slots=True)
class Part:
    key: wire.Bytes32


@dataclass(frozen=True, slots=True)
class Whole:
    name: wire.Name
    count: wire.U32
    share: Annotated[float, wire.Range(0, 1)]
    parts: Annotated[tuple[Part, ...], wire.Size(0, 3)]
    note: Annotated[str | None, wire.Size(0, 5)]


def whole(**changes) -> Whole:
    fields = {"name": "a", "count": 1, "share": 0.5, "parts": (Part(bytes(32)),), "note": None}
    return Whole(**{**fields, **changes})


@given(
    st.text(min_size=1, max_size=64),
    st.integers(0, 2**32 - 1),
    st.floats(0, 1),
    st.lists(st.binary(min_size=32, max_size=32), max_size=3),
    st.none() | st.text(max_size=5),
)
def test_what_is_encoded_is_decoded(name, count, share, keys, note):
    message = Whole(name, count, share, tuple(Part(key) for key in keys), note)
    assert wire.decode(Whole, wire.encode(message)) == message


@given(st.binary(max_size=200))
def test_any_bytes_give_a_message_or_a_peer_error(data):
    try:
        wire.decode(Whole, data)
    except PeerError:
        return
    assert wire.encode(wire.decode(Whole, data))


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": "a" * 65},
        {"count": -1},
        {"count": 2**32},
        {"count": 1.0},
        {"count": True},
        {"share": 1.5},
        {"share": math.nan},
        {"parts": (Part(bytes(31)),)},
        {"parts": (Part(bytes(32)),) * 4},
        {"note": "longer"},
        {"note": 3},
    ],
)
def test_out_of_bounds_or_of_another_type(change):
    with pytest.raises(PeerError, match=r"Whole|Part"):
        wire.decode(Whole, wire.encode(whole(**change)))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        cbor2.dumps([1]),
        cbor2.dumps({"name": "a"}),
        wire.encode(whole()) + b"\x00",
        wire.encode(whole())[:-1],
        b"\x9f" * 5000,
    ],
)
def test_bytes_that_are_no_such_message(data):
    with pytest.raises(PeerError):
        wire.decode(Whole, data)


def test_a_message_over_the_limit_is_not_read():
    with pytest.raises(PeerError, match="at most 10"):
        wire.decode(Whole, wire.encode(whole()), limit=10)
