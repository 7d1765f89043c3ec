"""A category that the shop has not mapped counts as sensitive: its lines are dropped at event write."""

from dataclasses import replace

import pytest

from covey_sdk import StoreError, unmapped_categories
from covey_sdk.events import OrderLine, Refund
from covey_sdk.facts import UNKNOWN
from covey_sdk.interactions import ItemView
from covey_sdk.rule_bundle import Category, sign_rules
from covey_sdk.rule_sections import Pair

WORDS = (
    *("pregnancy tests", "nappies", "condom", "tampons", "insulin", "baby formula"),
    *("避孕套", "验孕棒", "纸尿裤", "感冒药", "卫生巾"),
)


@pytest.mark.parametrize("category", WORDS)
def test_phone_02_unmapped_categories_are_sensitive(device, order, met, category):
    for days in (1, 8, 15, 22):
        device.record(order(days, lines=(OrderLine("item of it", category, 500, days_per_unit=7),)))
        device.record(met(ItemView, days, category))
    held = device.export()
    assert device.facts()["items"] == frozenset()
    assert {tag.id for tag in device.tags()} <= {
        "rfm.segment", "lifecycle.stage", "behav.core_user", "behav.high_freq_trier",
    }  # fmt: skip
    assert category not in repr(held["events"]) + repr(held["tags"]) + repr(held["facts"])
    assert "item of it" not in repr(held)
    assert device.facts()["orders"] == 4


@pytest.mark.parametrize("granted", [("health",), ("family",), ("health", "family")])
def test_an_unmapped_line_takes_both_sensitive_purposes(opened, allow, order, granted):
    device = opened()
    allow(device, "personalize", *granted)
    device.record(order(1, lines=(OrderLine("item of it", "condom", 500),)))
    assert bool(device.journal.events()[0].lines) == (len(granted) == 2)
    assert device.facts()["items"] == frozenset()
    device.withdraw(granted[-1])
    assert device.journal.events()[0].lines == ()


def test_an_unmapped_line_that_is_kept_enters_no_tag_before_it_is_mapped(
    opened, allow, order, met, shop, mapped
):
    device = opened()
    allow(device, "personalize", "replenish", "marketing", "health", "family")
    for days in (5, 12, 19, 26):
        device.record(order(days, lines=(OrderLine("c", "condom", 500, days_per_unit=9),)))
        device.record(met(ItemView, days, "condom", "tea"))
    assert "condom" in repr(device.journal.events())
    assert "condom" not in repr(device.tags()) + repr(device.facts()) + repr(device.ledger())
    assert "c" not in device.profile.bought(device.gate())
    more = replace(mapped, version=3, categories=(*mapped.categories, Category("condom", "health")))
    device.adopt_rules(sign_rules(more, shop.operator))
    assert "pref.category.condom" in {tag.id for tag in device.tags()}
    assert "c" not in device.facts()["items"]


def test_a_pair_asks_for_nothing_unmapped(opened, allow, order, shop, mapped):
    device = opened()
    allow(device, "marketing", "health", "family")
    pair = Pair("wine", "condom", 1, 60)
    rules = replace(mapped, version=3, cross_sell=(pair,), complement=(pair,))
    device.adopt_rules(sign_rules(rules, shop.operator))
    device.record(order(30, lines=(OrderLine("w", "wine", 900),)))
    assert device.tags() == ()
    more = replace(rules, version=4, categories=(*mapped.categories, Category("condom", "health")))
    device.adopt_rules(sign_rules(more, shop.operator))
    assert {tag.id for tag in device.tags()} == {"cross_sell.due:condom", "complement.due:condom"}


def test_what_was_dropped_does_not_come_back_with_the_mapping(device, order, met, shop, mapped):
    device.record(order(9, lines=(OrderLine("item of it", "condom", 500),)))
    device.record_many([met(ItemView, 9, "condom"), met(ItemView, 8, "condom"), met(ItemView, 8, "tea")])
    assert device.unmapped() == {"condom": 3}
    more = replace(mapped, version=3, categories=(*mapped.categories, Category("condom", "health")))
    device.adopt_rules(sign_rules(more, shop.operator))
    assert device.unmapped() == {}
    assert [line for event in device.journal.events() for line in getattr(event, "lines", ())] == []
    device.record(met(ItemView, 7, "condom"))
    assert "condom" not in repr(device.export())


def test_a_total_without_lines_is_net_of_refunds(device, order, refund):
    paid = order(9, lines=(OrderLine("a", "condom", 500), OrderLine("b", "tampons", 300)))
    assert device.record_many([paid, refund(paid, 500, 0)]) == 2
    assert (device.facts()["orders"], device.facts()["mean_order_minor"]) == (1, 300)
    device.record(refund(paid, 300, 1))
    assert device.facts()["orders"] is None


def refunds(device):
    return [event for event in device.journal.events() if isinstance(event, Refund)]


@pytest.mark.parametrize("early", [True, False])
def test_no_refund_names_a_line_that_was_dropped(device, order, refund, early):
    mixed = order(
        9, lines=(OrderLine("a", "condom", 500), OrderLine("b", "tea", 300), OrderLine("c", "tea", 200))
    )
    told = [refund(mixed, 500, 0), refund(mixed, 250, 1, 0), refund(mixed, 200, 2)]
    device.record_many([*told, mixed] if early else [mixed])
    device.record_many([] if early else told)
    assert [(back.line_ix, back.left_out) for back in refunds(device)] == [
        ((), True),
        ((1,), True),
        ((2,), False),
    ]
    assert device.facts()["mean_order_minor"] == 50
    assert device.facts()["items"] == {"b"}
    assert device.journal.early_refunds() == []


def test_a_line_counts_as_returned_once_all_that_its_refunds_were_for_came_back(device, order, refund):
    mixed = order(
        9, lines=(OrderLine("a", "condom", 500), OrderLine("b", "tea", 300), OrderLine("c", "tea", 200))
    )
    device.record_many([mixed, refund(mixed, 500, 0, 1)])
    assert device.facts()["items"] == {"b", "c"}
    device.record(refund(mixed, 300, 1, 0))
    assert device.facts()["items"] == {"c"}


def test_a_bundle_that_maps_less_cuts_refunds_too_and_they_still_count(device, order, refund, shop, mapped):
    mixed = order(9, lines=(OrderLine("a", "wine", 500), OrderLine("b", "tea", 300)))
    device.record_many([mixed, refund(mixed, 200, 0), refund(mixed, 800, 1, 0)])
    less = tuple(category for category in mapped.categories if category.id != "wine")
    before = device.facts()
    device.adopt_rules(sign_rules(replace(mapped, version=3, categories=less), shop.operator))
    assert [(back.line_ix, back.left_out) for back in refunds(device)] == [((), True), ((1,), True)]
    assert device.facts() == before == UNKNOWN


def test_a_refund_of_a_dropped_line_takes_nothing_else_with_it(opened, allow, order, refund):
    device = opened()
    allow(device, "personalize", "health")
    mixed = order(9, lines=(OrderLine("a", "condom", 500), OrderLine("b", "cold_med", 500)))
    device.record_many([mixed, refund(mixed, 500, 0)])
    device.withdraw("personalize")
    (kept,) = device.journal.events()
    assert (kept.lines, kept.total_minor) == ((mixed.lines[1],), 500)


def test_a_partial_refund_of_a_mixed_order_takes_no_kept_line_with_it(device, order, refund):
    mixed = order(9, lines=(OrderLine("a", "tea", 100), OrderLine("b", "condom", 900)))
    device.record_many([mixed, refund(mixed, 500)])
    assert (device.facts()["mean_order_minor"], device.facts()["items"]) == (500, {"a"})
    device.record(refund(mixed, 400, 0, 1))
    assert device.facts()["items"] == {"a"}


def test_one_spelling_of_an_id_does_not_speak_for_another(device, order):
    for category in ("TEA", "tea ", " tea", "Tea", "ｔｅａ"):
        device.record(order(1, lines=(OrderLine("item of it", category, 500),)))
    assert device.facts()["items"] == frozenset()
    assert len(device.unmapped()) == 5


def test_no_other_purpose_keeps_an_order_without_a_line(opened, allow, order):
    device = opened()
    allow(device, "replenish", "marketing", "personalize")
    device.record(order(1, lines=(OrderLine("item of it", "condom", 500),)))
    device.withdraw("personalize")
    assert device.journal.events() == []
    assert device.record(order(1, lines=(OrderLine("item of it", "condom", 500),))) is False


def test_waiting_ids_go_with_personalisation_and_are_bounded(device, order, allow):
    for batch in range(3):
        lines = tuple(OrderLine("x", f"new {batch} {number}", 1) for number in range(100))
        device.record(order(1, lines=lines))
    assert len(device.unmapped()) == unmapped_categories.MOST == 256
    assert device.export()["unmapped"] == device.unmapped()
    device.withdraw("personalize")
    assert device.unmapped() == {}
    assert device.store.names("unmapped") == []


def test_another_process_records_under_the_bundle_that_was_adopted(device, opened, order, shop, mapped):
    other = opened()
    other.record(order(2))
    less = tuple(category for category in mapped.categories if category.id != "tea")
    device.adopt_rules(sign_rules(replace(mapped, version=3, categories=less), shop.operator))
    other.record(order(1))
    assert other.facts()["items"] == frozenset()


def test_a_bundle_that_could_not_be_adopted_decides_nothing(device, order, shop, mapped, monkeypatch):
    newer = replace(mapped, version=3, categories=(Category("condom", "ordinary", "made for this test"),))
    monkeypatch.setattr(device.clock, "keep", lambda now: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        device.adopt_rules(sign_rules(newer, shop.operator))
    monkeypatch.undo()
    assert device.profile.rules == mapped
    device.record(order(1, lines=(OrderLine("item of it", "condom", 500),)))
    assert device.facts()["items"] == frozenset()


def test_a_recommendation_never_learns_of_an_unmapped_line(device, order):
    device.record(order(1, lines=(OrderLine("item of it", "condom", 500),)))
    assert device.profile.bought(device.gate()) == {}
    assert device.explain("item of it").ranking == "public_order"


def test_unmapped_ids_that_cannot_be_read_are_an_error_of_the_store(device, order):
    device.store.put("unmapped", b"\xff")
    for act in (device.unmapped, lambda: device.record(order(1, lines=(OrderLine("a", "condom", 500),)))):
        with pytest.raises(StoreError, match="unmapped categories that cannot be read"):
            act()


def test_an_id_of_any_length_that_events_take_can_wait_and_be_mapped(device, order, shop, mapped):
    longest = "验" * 128
    device.record(order(1, lines=(OrderLine("a", longest, 500),)))
    assert device.unmapped() == {longest: 1}
    more = replace(mapped, version=3, categories=(*mapped.categories, Category(longest, "ordinary")))
    device.adopt_rules(sign_rules(more, shop.operator))
    assert device.unmapped() == {}
    device.record(order(1, lines=(OrderLine("a", longest, 500),)))
    assert device.facts()["items"] == {"a"}


def test_an_order_that_was_cut_is_not_restored_by_another_source(device, order, shop, mapped):
    sold = order(1, lines=(OrderLine("a", "new tea", 500), OrderLine("b", "tea", 300)))
    device.record(sold)
    more = replace(mapped, version=3, categories=(*mapped.categories, Category("new tea", "ordinary")))
    device.adopt_rules(sign_rules(more, shop.operator))
    assert not device.record(replace(sold, source="pos_qr"))
    assert device.facts()["items"] == {"b"}
    assert device.facts()["mean_order_minor"] == 800
