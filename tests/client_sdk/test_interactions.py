from dataclasses import replace
from datetime import timedelta

import pytest

from covey_sdk.clock import milliseconds
from covey_sdk.errors import EventError
from covey_sdk.events import AppOpen, OrderLine, parse
from covey_sdk.interactions import CartAdd, Favorite, ItemView
from covey_sdk.journal import Journal
from covey_sdk.rule_bundle import BASE, Category
from covey_sdk.store import Store

VIEW = {"type": "item_view", "item_id": "7", "category": ["tea", "gifts"], "at_ms": 1, "tz_offset_min": 480}
TEA = OrderLine("t", "tea", 100)
FORMULA = OrderLine("f", "infant formula", 200)
KINDS = {"tea": "ordinary", "cold_med": "health", "diapers": "family", "infant formula": "family"}
MAPPED = replace(BASE, categories=tuple(Category(*mapped) for mapped in KINDS.items()))


@pytest.fixture
def journal(path):
    store = Store(path, bytes(32))
    yield Journal(store)
    store.close()


@pytest.fixture
def keeps(journal, gate, clock):
    """Whether the journal keeps an event where the purposes are granted."""

    def keeps(event, *granted):
        return journal.record(event, gate(*granted).allows, MAPPED, clock.now)

    return keeps


@pytest.mark.parametrize(
    ("name", "kind"), [("item_view", ItemView), ("cart_add", CartAdd), ("favorite", Favorite)]
)
def test_an_interaction_is_parsed(name, kind):
    assert parse({**VIEW, "type": name}) == kind("7", ("tea", "gifts"), 1, 480)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"category": "tea"}, "item_view.category is 'tea'; a list of 1 to 16"),
        ({"category": []}, "item_view.category is a tuple; a list of 1 to 16"),
        ({"category": ["tea"] * 17}, "item_view.category"),
        ({"category": [""]}, "item_view.category is ''; text"),
        ({"item_id": 7}, "item_view.item_id is 7; text"),
        ({"at_ms": -1}, "item_view.at_ms is -1"),
        ({"source": "fax"}, "item_view.source is 'fax'"),
        ({"dwell_ms": 3}, "item_view has no field 'dwell_ms'"),
    ],
)
def test_a_wrong_field_is_named(changes, said):
    with pytest.raises(EventError) as raised:
        parse({**VIEW, **changes})
    assert said in str(raised.value)


def test_the_same_view_told_again_is_kept_once(keeps, met, journal):
    view = met(ItemView, 1)
    again = (view, replace(view, source="web"))
    assert keeps(view, "personalize")
    assert not any(keeps(told, "personalize") for told in again)
    assert keeps(met(CartAdd, 1), "personalize")
    assert len(journal.events()) == 2


@pytest.mark.parametrize(("kind", "days"), [(ItemView, 180), (CartAdd, 400), (Favorite, 400)])
def test_views_are_kept_180_days_and_other_interactions_400(keeps, met, journal, gate, clock, kind, days):
    assert not keeps(met(kind, days + 1), "personalize")
    assert keeps(met(kind, days), "personalize")
    clock.forward(seconds=1)
    assert journal.sweep(gate("personalize").allows, MAPPED, clock.now) == 1
    assert journal.events() == []


@pytest.mark.parametrize("purpose", ["replenish", "marketing", "family", "analytics"])
def test_interactions_are_kept_for_personalisation_alone(keeps, met, purpose):
    assert not keeps(met(ItemView, 1), purpose)


def test_a_sensitive_item_needs_the_purposes_of_all_its_categories(keeps, met):
    care = met(ItemView, 1, "tea", "diapers", "cold_med")
    assert not keeps(care, "personalize")
    assert not keeps(care, "personalize", "family")
    assert not keeps(care, "family", "health")
    assert keeps(care, "personalize", "family", "health")


def test_withdrawing_family_deletes_what_was_done_with_sensitive_items(keeps, met, journal, gate, clock):
    keeps(met(ItemView, 1, "diapers"), "personalize", "family")
    keeps(met(ItemView, 2, "tea"), "personalize", "family")
    journal.sweep(gate("personalize").allows, MAPPED, clock.now)
    assert journal.events() == [met(ItemView, 2, "tea")]


@pytest.mark.parametrize(("purpose", "days"), [("personalize", 400), ("replenish", 180), ("marketing", 400)])
def test_an_order_is_kept_as_long_as_its_purpose_says(keeps, order, purpose, days):
    assert not keeps(order(days + 1), purpose)
    assert keeps(order(days), purpose)


def test_personalisation_keeps_the_total_of_an_order_and_no_sensitive_line(keeps, order, journal):
    assert keeps(order(1, lines=(TEA, FORMULA)), "personalize")
    assert keeps(order(1, lines=(FORMULA,)), "personalize")
    mixed, formula = journal.events()
    assert (mixed.lines, mixed.total_minor, mixed.partial) == ((TEA,), 300, True)
    assert (formula.lines, formula.total_minor, formula.partial) == ((), 200, True)


@pytest.mark.parametrize("purpose", ["replenish", "marketing"])
def test_a_sensitive_line_is_cut_from_an_order_of_any_other_purpose(keeps, order, journal, purpose):
    assert keeps(order(1, lines=(TEA, FORMULA)), purpose)
    assert (journal.events()[0].lines, journal.events()[0].total_minor) == ((TEA,), 100)
    assert not keeps(order(1, lines=(FORMULA,)), purpose)


def test_an_order_outlives_a_purpose_only_in_what_another_needs(keeps, order, journal, gate, clock):
    keeps(order(200, lines=(TEA, FORMULA)), "personalize", "replenish", "family")
    journal.sweep(gate("personalize", "family").allows, MAPPED, clock.now)
    assert journal.events()[0].lines == (TEA, FORMULA)
    journal.sweep(gate("replenish", "family").allows, MAPPED, clock.now)
    assert journal.events()[0].lines == (FORMULA,)


def test_visits_are_kept_for_reminders_too(keeps, clock):
    visits = [AppOpen(milliseconds(clock.now - timedelta(days=days)), 480) for days in (1, 2)]
    assert keeps(visits[0], "replenish")
    assert not keeps(visits[1], "marketing")
