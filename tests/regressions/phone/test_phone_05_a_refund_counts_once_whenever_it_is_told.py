"""A refund counts once, whoever tells of it, and whether its order was told before it or after."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from covey_sdk import ledger, refunds_before_orders
from covey_sdk.clock import milliseconds
from covey_sdk.errors import EventError
from covey_sdk.events import OrderLine, OrderPaid, Refund, parse
from covey_sdk.facts import UNKNOWN
from covey_sdk.journal import Journal
from covey_sdk.rule_bundle import BASE
from covey_sdk.store import Store

TEA = OrderLine("t", "tea", 3000)
CASE = OrderLine("c", "phone_case", 2000)
COLD = OrderLine("m", "cold_med", 500)


def spend(device):
    facts = device.facts()
    return (facts["orders"] or 0) * (facts["mean_order_minor"] or 0)


def test_a_refund_counts_once_whenever_it_is_told(device, order, refund):
    sold = order(2, minor=5000)
    back = refund(sold, 2000)
    assert device.record(back)
    assert device.facts()["orders"] is None
    assert device.record(sold)
    assert spend(device) == 3000
    assert not device.record(replace(back, source="pos_qr", at_ms=back.at_ms - 1000))
    assert spend(device) == 3000


def test_one_batch_may_hold_order_and_refund_in_any_order(device, order, refund):
    sold = order(0, minor=5000)
    back = refund(sold, 2000)
    assert device.record_many([back, sold]) == 2
    assert spend(device) == 3000


def test_the_same_source_tells_once_and_both_sources_agree(device, order, refund):
    sold = order(1, lines=(TEA, CASE))
    back = refund(sold, 1000, 0, 1)
    for _ in range(2):
        with pytest.raises(EventError, match=f"refund '{back.refund_id}' is recorded already from 'app'"):
            device.record_many([back, back])
        device.record(back)
        with pytest.raises(EventError, match="recorded already from 'app'"):
            device.record(back)
        till = replace(back, source="pos_qr", line_ix=(1, 0))
        assert not device.record(till)
        for other in (replace(till, amount_minor=1), replace(till, line_ix=())):
            with pytest.raises(EventError, match="another amount or other lines"):
                device.record(other)
        device.record(sold)
        sold, back = replace(sold, order_id="2"), replace(back, order_id="2")


def test_a_refund_needs_an_id():
    told = {"type": "refund", "order_id": "A", "amount_minor": 1, "at_ms": 1, "tz_offset_min": 0}
    with pytest.raises(EventError, match=r"refund\.refund_id is missing"):
        parse(told)
    assert parse({**told, "refund_id": "R"}) == Refund("R", "A", 1, 1, 0)


def test_refund_ids_are_told_apart_within_their_order(device, order, refund):
    sold = [order(1, minor=5000), order(1, minor=5000)]
    device.record_many(sold)
    device.record_many([replace(refund(each, 1000), refund_id="1") for each in sold])
    device.record(replace(refund(sold[0], 1000), refund_id="2"))
    assert spend(device) == 7000


def test_an_early_refund_is_no_event_is_exported_and_survives_a_restart(device, opened, order, refund):
    sold = order(1, minor=5000)
    back = refund(sold, 2000)
    device.record(back)
    assert device.journal.events() == []
    assert device.facts() == UNKNOWN
    assert {tag.id for tag in device.tags()} == {"lifecycle.stage"}
    assert [parse(each) for each in device.export()["early_refunds"]] == [back]
    device.close()
    again = opened()
    again.record(sold)
    assert spend(again) == 3000
    assert again.journal.early_refunds() == []


def test_what_is_cut_from_an_order_is_cut_from_its_early_refund(device, order, refund):
    sold = order(1, lines=(COLD, TEA))
    device.record_many([refund(sold, 500, 0), refund(sold, 3500)])
    device.record(sold)
    kept = [event for event in device.journal.events() if isinstance(event, Refund)]
    assert [(back.amount_minor, back.line_ix, back.left_out) for back in kept] == [
        (500, (), True),
        (3500, (), False),
    ]
    assert device.facts() == UNKNOWN


def test_withdrawing_deletes_what_waits_and_says_so(device, order, refund):
    device.record(refund(order(1), 100))
    device.withdraw("personalize")
    assert device.journal.early_refunds() == []
    assert device.store.get("early_refunds") is None
    assert device.ledger()[-1].kind == ledger.PURGE
    assert not device.record(refund(order(1), 100))


def test_an_early_refund_waits_thirty_days(device, order, refund, clock):
    sold = [order(20, minor=5000), order(20, minor=5000)]
    device.record(refund(sold[0], 2000))
    clock.forward(days=1)
    device.record(refund(sold[1], 2000))
    clock.forward(days=30)
    device.sync()
    assert len(device.journal.early_refunds()) == 1
    device.record_many(sold)
    assert spend(device) == 8000


def test_so_many_wait_and_no_more(device, order, refund, monkeypatch):
    monkeypatch.setattr(refunds_before_orders, "MOST", 3)
    told = [refund(order(1), 100) for _ in range(5)]
    device.record_many(told)
    assert device.journal.early_refunds() == told[2:]


def test_a_refund_of_before_its_order_is_refused_or_does_not_count(device, order, refund):
    first, second = order(5, minor=5000), order(5, minor=5000)
    wrong = [replace(refund(each, 2000), at_ms=each.at_ms - 300_001) for each in (first, second)]
    device.record(first)
    with pytest.raises(EventError, match="before its order was paid"):
        device.record(wrong[0])
    device.record(wrong[1])
    device.record(second)
    assert device.journal.events() == [first, second]
    assert device.record(replace(refund(first, 2000), at_ms=first.at_ms - 300_000))


def test_a_refund_that_waited_ages_out_in_its_time(device, order, refund, clock):
    sold = order(399, minor=5000)
    back = replace(refund(sold, 2000), at_ms=sold.at_ms)
    device.sync()
    device.record(back)
    device.record(sold)
    clock.forward(days=1, seconds=1)
    device.sync()
    assert device.journal.events() == []


@pytest.mark.parametrize("first", ["order", "refund"])
def test_two_processes_see_each_others_early_refunds(opened, order, refund, first, device):
    other = opened()
    sold = order(1, minor=5000)
    told = [sold, refund(sold, 2000)]
    for each, event in zip((other, device), told if first == "order" else told[::-1], strict=True):
        assert each.record(event)
    assert spend(device) == spend(other) == 3000


reports = st.lists(
    st.tuples(
        st.integers(0, 2), st.integers(0, 2), st.integers(0, 4000), st.sets(st.integers(0, 3), max_size=2)
    ),
    max_size=5,
    unique_by=lambda report: report[:2],
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(reports=reports, data=st.data())
def test_every_order_of_arrival_comes_to_the_same(reports, data, tmp_path_factory, gate, clock, mapped):
    """Orders, and refunds by app and till, told in any order and in any batches."""
    now = milliseconds(clock.now)
    orders = [
        OrderPaid(str(ix), lines, sum(line.paid_minor for line in lines), "CNY", now - 86_400_000 * ix, 480)
        for ix, lines in enumerate([(TEA,), (COLD, TEA, CASE), (COLD,)])
    ]
    refunds = [
        Refund(str(number), str(of), minor, now, 480, tuple(lines)) for of, number, minor, lines in reports
    ]
    told = [*orders, *(replace(event, source="pos_qr") for event in orders), *refunds]
    told += [replace(back, source="pos_qr", at_ms=now - 1000) for back in refunds]
    allows = gate(*data.draw(st.sets(st.sampled_from(["personalize", "replenish", "health"])))).allows
    rules = data.draw(st.sampled_from([mapped, BASE]))
    folder = tmp_path_factory.mktemp("journals")

    def kept(name, batches):
        store = Store(folder / name, bytes(32))
        journal = Journal(store)
        for batch in batches:
            with store.transaction():
                journal.record_all(batch, allows, rules, clock.now)
        found = [replace(event, source="app", at_ms=0) for event in journal.events()]
        early = [replace(event, source="app", at_ms=0) for event in journal.early_refunds()]
        store.close()
        return sorted(found, key=repr), sorted(early, key=repr)

    shuffled = data.draw(st.permutations(told))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(told)))))
    batches = [shuffled[begin:end] for begin, end in itertools.pairwise([0, *cuts, len(told)])]
    events, early = kept("one", [told])
    assert kept("many", batches) == (events, early)
    held = {order.order_id: order for order in events if isinstance(order, OrderPaid)}
    assert held.keys().isdisjoint(refund.order_id for refund in early)
    for back in (event for event in events if isinstance(event, Refund)):
        order = held[back.order_id]
        assert {*back.line_ix} <= {order.position(ix) for ix in range(len(order.lines))}
