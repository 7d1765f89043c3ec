import time

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey_sdk.errors import EventError
from covey_sdk.events import AppOpen, OrderLine, OrderPaid, Refund, decode, encode, parse, unparse
from covey_sdk.interactions import CartAdd, Favorite, ItemView

LINE = {
    "item_id": "7",
    "category": "tea",
    "list_minor": 5000,
    "paid_minor": 4500,
    "qty": 2,
    "discounted": True,
}
ORDER = {
    "type": "order_paid",
    "order_id": "A-1",
    "lines": [LINE],
    "total_minor": 4500,
    "currency": "CNY",
    "at_ms": 1_760_000_000_000,
    "tz_offset_min": 480,
}
REFUND = {
    "type": "refund",
    "refund_id": "R-1",
    "order_id": "A-1",
    "amount_minor": 4500,
    "at_ms": 1,
    "tz_offset_min": 0,
}

names = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20).filter(
    lambda name: name.strip("_")
)
minors = st.integers(0, 10**9)
moments = {"at_ms": st.integers(0, 2**42), "tz_offset_min": st.integers(-840, 840)}
lines = st.builds(
    OrderLine,
    names,
    names,
    minors,
    st.none() | st.integers(10**9, 10**12),
    st.integers(1, 99),
    st.lists(names, max_size=3).map(tuple),
    st.booleans(),
    st.booleans(),
    st.none() | st.integers(1, 90),
)
orders = st.lists(lines, min_size=1, max_size=4).flatmap(
    lambda some: st.builds(
        OrderPaid,
        names,
        st.just(tuple(some)),
        st.just(sum(line.paid_minor for line in some)),
        st.just("CNY"),
        **moments,
    )
)
refunds = st.builds(Refund, names, names, minors, line_ix=st.sets(st.integers(0, 9)).map(tuple), **moments)
categories = st.lists(names, min_size=1, max_size=3).map(tuple)
interactions = st.sampled_from([ItemView, CartAdd, Favorite]).flatmap(
    lambda kind: st.builds(kind, names, categories, **moments)
)
told = orders | refunds | interactions | st.builds(AppOpen, **moments)


@given(told)
def test_encoding_and_parsing_return_the_same_event(event):
    assert decode(encode(event)) == event
    assert parse(unparse(event)) == event


@given(st.binary(max_size=64))
def test_bytes_that_are_no_event_are_refused(data):
    with pytest.raises(EventError):
        decode(data)


def test_an_event_of_another_schema_names_both_versions():
    data = cbor2.dumps([3, *cbor2.loads(encode(parse(ORDER)))[1:]])
    with pytest.raises(EventError, match="schema 3; this SDK reads 2"):
        decode(data)


def test_an_order_is_parsed_with_its_lines():
    event = parse(ORDER)
    assert isinstance(event, OrderPaid)
    assert event.lines == (OrderLine("7", "tea", 4500, 5000, 2, discounted=True),)
    assert (event.source, event.channel, event.eco_packaging) == ("app", "online", False)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"type": "face_seen"}, "type is 'face_seen'; one of order_paid"),
        ({"type": ["order_paid"]}, "type is a list"),
        ({"phone": "+86"}, "order_paid has no field 'phone'"),
        ({"positions": [0]}, "order_paid has no field 'positions'"),
        ({"total_minor": 45.0}, "order_paid.total_minor is 45.0; an integer"),
        ({"total_minor": True}, "order_paid.total_minor is True; an integer"),
        ({"total_minor": -1}, "order_paid.total_minor is -1"),
        ({"total_minor": 4600}, "lines' paid_minor come to 4500"),
        ({"currency": "yuan"}, "order_paid.currency is 'yuan'; three capital letters"),
        ({"currency": "XQZ"}, "order_paid.currency is 'XQZ'; three capital letters of ISO 4217"),
        ({"currency": "CN\n"}, "order_paid.currency"),
        ({"source": "fax"}, "order_paid.source is 'fax'; one of app"),
        ({"channel": "moon"}, "order_paid.channel is 'moon'"),
        ({"order_id": ""}, "order_paid.order_id is ''; text"),
        ({"order_id": "x" * 129}, "order_paid.order_id"),
        ({"at_ms": "now"}, "order_paid.at_ms is 'now'"),
        ({"tz_offset_min": 900}, "order_paid.tz_offset_min is 900"),
        ({"eco_packaging": 1}, "order_paid.eco_packaging is 1; true or false"),
        ({"lines": []}, "order_paid.lines is a tuple; a list of 1 to 1000"),
        ({"lines": "tea"}, "order_paid.lines is 'tea'; a list"),
        ({"lines": ["tea"]}, "line is 'tea'; a mapping"),
        ({"lines": [LINE] * 1001}, "order_paid.lines is a list; a list of 1 to 1000"),
        ({"lines": [{**LINE, "phone": "1"}]}, "line has no field 'phone'"),
        ({"lines": [{**LINE, "qty": -1}]}, "line.qty is -1"),
        ({"lines": [{**LINE, "paid_minor": -1}]}, "line.paid_minor is -1"),
        ({"lines": [{**LINE, "list_minor": "1"}]}, "line.list_minor is '1'"),
        ({"lines": [{**LINE, "category": None}]}, "line.category is None; text"),
        ({"lines": [{**LINE, "style": ["y2k", 3]}]}, "line.style is 3"),
        ({"lines": [{**LINE, "days_per_unit": 0}]}, "line.days_per_unit is 0"),
    ],
)
def test_a_wrong_field_is_named_with_what_was_expected(changes, said):
    with pytest.raises(EventError) as raised:
        parse({**ORDER, **changes})
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("field", ["order_id", "lines", "total_minor", "currency", "at_ms", "tz_offset_min"])
def test_a_missing_field_is_named(field):
    with pytest.raises(EventError, match=rf"order_paid\.{field} is missing"):
        parse({name: value for name, value in ORDER.items() if name != field})


def test_a_refund_names_each_line_once():
    assert parse({**REFUND, "line_ix": [0, 2]}).line_ix == (0, 2)
    with pytest.raises(EventError, match=r"refund\.line_ix is a tuple; each position once"):
        parse({**REFUND, "line_ix": [2, 2]})


def test_typed_constructors_check_what_parse_checks():
    with pytest.raises(EventError, match=r"line\.qty"):
        OrderLine("7", "tea", 100, qty=0)
    with pytest.raises(EventError, match=r"app_open\.source"):
        AppOpen(1, 0, "fax")
    with pytest.raises(EventError, match=r"order_paid\.lines"):
        OrderPaid("A", ("tea",), 0, "CNY", 1, 0)


@pytest.mark.slow
def test_a_million_lines_are_parsed_in_seconds():
    told = {**ORDER, "lines": [LINE] * 9, "total_minor": 9 * 4500}
    start = time.process_time()
    for _ in range(15_000):
        parse(told)
    assert time.process_time() - start < 1.0
