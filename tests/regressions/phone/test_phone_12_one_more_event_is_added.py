"""One more event is added to what is known: the history is not read again, and the tags are the same."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from covey_sdk import events
from covey_sdk.clock import milliseconds
from covey_sdk.events import AppOpen, OrderLine, OrderPaid, Refund
from covey_sdk.interactions import CartAdd, ItemView

CATEGORIES = ("tea", "milk", "bread", "diapers", "not mapped")


@pytest.fixture
def decoded(monkeypatch):
    """The number of events that were decoded."""
    count, decode = [0], events.decode

    def counted(data):
        count[0] += 1
        return decode(data)

    monkeypatch.setattr(events, "decode", counted)
    return count


def test_one_more_event_is_added(device, order, decoded):
    device.record_many([order(days) for days in range(1, 100)])
    device.tags()
    device.tags()
    decoded[0] = 0
    assert device.record(order(0))
    device.tags()
    device.facts()
    assert decoded[0] <= 2


def test_what_another_process_added_is_added_too(device, opened, order, decoded):
    device.record_many([order(days) for days in range(1, 50)])
    before = device.facts()["orders"]
    assert opened().record(order(0))
    decoded[0] = 0
    assert device.facts()["orders"] == before + 1
    assert decoded[0] <= 2


numbers = itertools.count()
days = st.integers(0, 60)
categories = st.sampled_from(CATEGORIES)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("order"), days, st.lists(categories, min_size=1, max_size=3)),
        st.tuples(st.just("refund"), st.integers(0, 5), st.integers(0, 400)),
        st.tuples(st.just("view"), days, categories),
        st.tuples(st.just("cart"), days, categories),
        st.tuples(st.just("visit"), days),
        st.tuples(st.just("grant"), st.sampled_from(["family", "marketing"])),
        st.tuples(st.just("withdraw"), st.sampled_from(["family", "marketing"])),
        st.tuples(st.just("next day")),
    ),
    max_size=12,
)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(told=steps)
def test_added_one_by_one_or_read_anew_the_tags_are_equal(opened, allow, clock, path, told):
    at = path.with_name(f"{next(numbers)}.db")
    device, granted, orders = opened(at), {"personalize", "replenish"}, []
    allow(device, *sorted(granted))
    for step in told:
        now = milliseconds(clock.now)
        since = step[1] if len(step) > 1 and isinstance(step[1], int) else 0
        ago = milliseconds(clock.now - timedelta(days=since))
        match step:
            case "order", _, named:
                lines = tuple(OrderLine(f"i-{name}", name, 100) for name in named)
                orders.append(OrderPaid(f"o{next(numbers)}", lines, 100 * len(lines), "USD", ago, 480))
                device.record(orders[-1])
            case "refund", which, amount if orders:
                name = orders[which % len(orders)].order_id
                device.record(Refund(f"r{next(numbers)}", name, amount, now, 480))
            case "view", _, name:
                device.record(ItemView(f"i-{name}", (name,), ago, 480))
            case "cart", _, name:
                device.record(CartAdd(f"i-{name}", (name,), ago, 480))
            case "visit", _:
                device.record(AppOpen(ago, 480))
            case "grant", purpose:
                granted.add(purpose)
                allow(device, *sorted(granted))
            case "withdraw", purpose if purpose in granted:
                granted.discard(purpose)
                device.withdraw(purpose)
            case ("next day",):
                clock.forward(days=1)
        anew = opened(at)
        assert device.tags() == anew.tags()
        assert device.facts() == anew.facts()
        anew.close()
