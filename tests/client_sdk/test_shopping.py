import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey_sdk.clock import milliseconds
from covey_sdk.events import AppOpen, OrderLine
from covey_sdk.history_builder import history
from covey_sdk.interactions import CartAdd, Favorite, ItemView
from covey_sdk.purchases import Buy
from covey_sdk.purposes import SENSITIVE
from covey_sdk.rule_bundle import BASE, Category
from covey_sdk.rule_sections import Lead, Pair
from covey_sdk.tag_rules.finding import TagEvidence
from covey_sdk.tag_rules.registry import TAGS
from covey_sdk.tag_rules.timing import last_buy_lasts
from covey_sdk.tags import Tag, compute_tags

ORDINARY = (
    *(
        "a",
        "b",
        "dress",
        "clothing",
        "wipes",
        "outdoor",
        "tea",
        "milk",
        "oil",
        "Organic Vegetables",
        "detergent",
        "dish_soap",
        "gifts",
    ),
    *("phone", "phone_case", "shoes", "socks", "boots"),
    *(f"category {number}" for number in range(20)),
)
MAPPED = replace(
    BASE,
    categories=(
        *(Category(name, "ordinary") for name in ORDINARY),
        Category("cold_med", "health"),
        *(Category(name, "family") for name in ("diapers", "infant_formula")),
    ),
)
TODAY = date(2027, 3, 1)
SHARE = pytest.approx(6 / 7, abs=1e-9)


@pytest.fixture
def held(gate, clock) -> Callable[..., dict[str, Tag]]:
    """The tags of events, by id, where the purposes are granted; rules may be given."""

    def held(events, *granted, rules=MAPPED):
        known = history(events, rules, clock.now, SENSITIVE & set(granted))
        found = compute_tags(known, rules, gate(*granted))
        assert len({tag.id for tag in found}) == len(found)
        assert all(tag.evidence for tag in found)
        return {tag.id: tag for tag in found}

    return held


@pytest.fixture
def buy(order):
    """Make an order of one line, some days ago."""

    def buy(category, days, qty=1, lasts=None, discounted=False):
        return order(days, lines=(OrderLine("x", category, 100, None, qty, (), discounted, False, lasts),))

    return buy


def kinds(held_tags, *wanted):
    return {name for name in held_tags if name.startswith(wanted)}


class TestPrice:
    def test_who_buys_only_discounted_is_price_sensitive(self, held, buy):
        bought = [buy("tea", days, discounted=True) for days in (1, 2, 364)]
        tag = held(bought, "personalize")["behav.price_sensitive"]
        assert tag.evidence == (TagEvidence("lines", 3, 3, 365), TagEvidence("discounted_lines", 3, 3, 365))
        assert tag.purpose == "personalize"

    @pytest.mark.parametrize("days", [(1, 2), (1, 2, 365)])
    def test_two_lines_in_a_year_are_too_few(self, held, buy, days):
        assert "behav.price_sensitive" not in held(
            [buy("tea", each, discounted=True) for each in days], "personalize"
        )

    def test_one_line_at_full_price_in_a_year_is_enough_against_it(self, held, buy):
        bought = [buy("tea", days, discounted=True) for days in (1, 2, 3)]
        assert "behav.price_sensitive" not in held([*bought, buy("tea", 364)], "personalize")
        assert "behav.price_sensitive" in held([*bought, buy("tea", 365)], "personalize")

    def test_a_line_that_went_back_does_not_count(self, held, order, refund):
        cheap = OrderLine("a", "tea", 100, discounted=True)
        mixed = order(1, lines=(cheap, cheap, cheap, OrderLine("b", "tea", 900)))
        assert "behav.price_sensitive" not in held([mixed, refund(mixed, 899, 3)], "personalize")
        assert "behav.price_sensitive" in held([mixed, refund(mixed, 900, 3)], "personalize")
        assert "behav.price_sensitive" in held(
            [mixed, refund(mixed, 400, 3), refund(mixed, 500, 3)], "personalize"
        )
        assert "behav.price_sensitive" not in held([mixed, refund(mixed, 1200)], "personalize")

    def test_a_sensitive_line_counts_under_its_own_purpose_alone(self, held, buy):
        bought = [buy("tea", days, discounted=True) for days in (1, 2, 3)]
        mixed = [*bought, buy("cold_med", 1)]
        assert "behav.price_sensitive" in held(mixed, "personalize")
        assert "behav.price_sensitive" in held(mixed, "personalize", "family")
        assert "behav.price_sensitive" not in held(mixed, "personalize", "health")


class TestHabit:
    WEDNESDAYS = (5, 12, 19, 26)

    def test_organic_vegetables_on_four_wednesdays_are_a_habit(self, held, buy):
        bought = [buy("Organic Vegetables", days) for days in self.WEDNESDAYS]
        found = held(bought, "personalize")
        assert kinds(found, "habit") == {"habit.weekly:organic_vegetables:wed"}
        tag = found["habit.weekly:organic_vegetables:wed"]
        assert (tag.score, tag.purpose) == (1.0, "personalize")
        assert tag.evidence == (TagEvidence("weeks", 4, 3, 28), TagEvidence("share", 1.0, 0.6, 28))

    def test_two_wednesdays_of_four_are_none(self, held, buy):
        assert not kinds(held([buy("tea", 5), buy("tea", 12)], "personalize"), "habit")
        assert not kinds(held([buy("tea", 5), buy("tea", 12), buy("tea", 33)], "personalize"), "habit")

    def test_three_wednesdays_of_five_buys_are_just_enough(self, held, buy):
        bought = [buy("tea", days) for days in (5, 12, 19, 1, 2)]
        assert kinds(held(bought, "personalize"), "habit") == {"habit.weekly:tea:wed"}
        assert not kinds(held([*bought, buy("tea", 3)], "personalize"), "habit")

    def test_many_lines_of_one_day_are_one_buy(self, held, buy):
        bought = [buy("tea", days) for days in (5, 12, 19, 1, 1, 1, 1)]
        assert kinds(held(bought, "personalize"), "habit") == {"habit.weekly:tea:wed"}
        assert not kinds(held([buy("tea", 5)] * 4, "personalize"), "habit")

    def test_the_window_is_28_days(self, held, buy):
        mondays = [buy("tea", days) for days in (7, 14, 21)]
        assert kinds(held(mondays, "personalize"), "habit") == {"habit.weekly:tea:mon"}
        assert not kinds(held([*mondays[:2], buy("tea", 28)], "personalize"), "habit")

    def test_a_sensitive_habit_needs_its_own_purpose(self, held, buy):
        bought = [buy("diapers", days) for days in self.WEDNESDAYS]
        assert not kinds(held(bought, "personalize", "health"), "habit")
        assert kinds(held(bought, "personalize", "family"), "habit") == {"habit.weekly:diapers:wed"}
        assert not kinds(held(bought, "family"), "habit")


class TestPreference:
    def test_the_share_is_weighted_by_what_was_done(self, held, met):
        did = [met(ItemView, 0, "outdoor")] * 3 + [met(CartAdd, 0, "outdoor"), met(ItemView, 0, "tea")]
        found = held(did, "personalize")
        assert kinds(found, "pref") == {"pref.category.outdoor"}
        tag = found["pref.category.outdoor"]
        assert tag.score == SHARE
        assert tag.evidence == (TagEvidence("share", SHARE, 0.2, 90), TagEvidence("events", 4, 3, 90))

    @pytest.mark.parametrize(("kind", "weight"), [(ItemView, 1), (CartAdd, 3), (Favorite, 2)])
    def test_each_kind_has_its_weight_against_an_order_line_of_five(self, held, met, buy, kind, weight):
        did = [met(kind, 0, "outdoor")] * 3 + [buy("tea", 0)]
        found = held(did, "personalize")
        assert found["pref.category.outdoor"].score == pytest.approx(3 * weight / (3 * weight + 5))

    def test_a_fifth_of_the_share_and_three_events_are_enough(self, held, met):
        did = [met(ItemView, 0, "a")] * 3 + [met(ItemView, 0, "b")] * 12
        assert kinds(held(did, "personalize"), "pref") == {"pref.category.a", "pref.category.b"}
        assert kinds(held([*did, met(ItemView, 0, "b")], "personalize"), "pref") == {"pref.category.b"}
        assert not kinds(held([met(Favorite, 0, "a")] * 2, "personalize"), "pref")

    def test_weights_halve_in_30_days_and_end_at_90(self, held, met):
        old = [met(ItemView, 30, "a")] * 4 + [met(ItemView, 0, "b")] * 4
        assert held(old, "personalize")["pref.category.a"].score == pytest.approx(1 / 3)
        assert kinds(held([met(ItemView, 89, "a")] * 3, "personalize"), "pref")
        assert not kinds(held([met(ItemView, 90, "a")] * 3, "personalize"), "pref")

    def test_an_item_in_two_categories_speaks_for_both(self, held, met):
        found = held([met(ItemView, 0, "dress", "dress", "clothing")] * 3, "personalize")
        assert found["pref.category.dress"].score == found["pref.category.clothing"].score == 1.0
        assert found["pref.category.dress"].evidence[1].value == 3

    def test_what_went_back_is_no_preference(self, held, order, refund):
        bought = [order(days) for days in (1, 2, 3)]
        assert "pref.category.tea" in held(bought, "personalize")
        assert not kinds(held([*bought, refund(bought[0], 3000)], "personalize"), "pref")

    def test_a_sensitive_item_counts_under_its_own_purpose_alone(self, held, met, buy):
        looked = [met(ItemView, 0, "soap", "diapers"), met(ItemView, 0, "tea")] * 3
        did = [*looked, *(buy("diapers", 1) for _ in range(3))]
        found = held(did, "personalize")
        assert kinds(found, "pref") == {"pref.category.tea"}
        assert found["pref.category.tea"].score == 1.0
        assert "pref.category.diapers" in held(did, "personalize", "family")


class TestReplenish:
    def test_formula_of_30_days_is_due_on_day_24(self, held, buy):
        found = held([buy("infant_formula", 24, lasts=30)], "replenish", "family")
        tag = found["replenish.due:infant_formula"]
        assert tag.evidence == (TagEvidence("days_left", 6, 7), TagEvidence("days_since_bought", 24, 30))
        assert tag.purpose == "replenish"

    @pytest.mark.parametrize("granted", [("replenish",), ("replenish", "personalize", "health"), ("family",)])
    def test_formula_is_not_due_without_both_purposes(self, held, buy, granted):
        assert not kinds(held([buy("infant_formula", 24, lasts=30)], *granted), "replenish")

    @pytest.mark.parametrize(("days", "due"), [(26, False), (27, True), (30, True), (31, False)])
    def test_detergent_has_a_lead_of_three_days(self, held, buy, days, due):
        seen = [buy("detergent", days, lasts=30), buy("tea", 1)]
        assert ("replenish.due:detergent" in held(seen, "replenish")) is due

    def test_a_shop_gives_a_category_its_lead(self, held, buy):
        early = replace(MAPPED, replenish=replace(MAPPED.replenish, leads=(Lead("Dish Soap", 20),)))
        assert kinds(held([buy("dish_soap", 10, lasts=30)], "replenish", rules=early), "replenish")
        assert not kinds(held([buy("dish_soap", 10, lasts=30)], "replenish"), "replenish")

    def test_without_a_catalogue_three_buys_tell_the_rhythm(self, held, buy):
        bought = [buy("tea", 68), buy("tea", 44), buy("tea", 20)]
        assert held(bought, "replenish")["replenish.due:tea"].evidence[0].value == 4
        assert not kinds(held(bought[1:], "replenish"), "replenish")

    def test_units_last_one_after_another(self, held, buy):
        assert "replenish.due:tea" in held([buy("tea", 25, qty=3, lasts=10)], "replenish")
        slow = [buy("tea", 70, qty=2), buy("tea", 50, qty=2), buy("tea", 20, qty=2)]
        assert held(slow, "replenish")["replenish.due:tea"].evidence[0].value == 5

    def test_lines_of_one_day_last_together(self, held, order):
        pair = (OrderLine("a", "tea", 1, days_per_unit=10), OrderLine("b", "tea", 1, qty=2, days_per_unit=10))
        assert held([order(25, lines=pair)], "replenish")["replenish.due:tea"].evidence[0].value == 5

    def test_a_day_of_which_the_catalogue_knows_half_is_read_by_rhythm(self, held, buy, order):
        half = order(25, lines=(OrderLine("a", "tea", 1, days_per_unit=30), OrderLine("b", "tea", 1)))
        assert not kinds(held([half, buy("milk", 1)], "replenish"), "replenish")
        bought = [buy("tea", 75, qty=2), buy("tea", 50, qty=2), half]
        assert held([*bought, buy("milk", 1)], "replenish")["replenish.due:tea"].evidence[0].value == 0

    def test_part_of_a_day_is_a_day(self, held, buy):
        bought = [buy("tea", 27, qty=2), buy("tea", 20, qty=2), buy("tea", 13, qty=3)]
        assert not kinds(held(bought, "replenish"), "replenish")
        again = [buy("tea", 24, qty=2), buy("tea", 17, qty=2), buy("tea", 10, qty=3)]
        assert held(again, "replenish")["replenish.due:tea"].evidence[0].value == 1

    @given(st.integers(1, 90), st.integers(1, 99))
    def test_a_rhythm_of_equal_buys_lasts_exactly_its_gap(self, gap, qty):
        bought = [Buy(TODAY + timedelta(days=gap * ix), qty, None) for ix in range(3)]
        assert last_buy_lasts(bought, MAPPED) == gap

    def test_rhythm_is_read_from_180_days(self, held, buy):
        within, beyond = ([buy("oil", days) for days in (old, 100, 20)] for old in (179, 180))
        short = replace(MAPPED, replenish=replace(MAPPED.replenish, lead=90))
        assert kinds(held(within, "replenish", rules=short), "replenish")
        assert not kinds(held(beyond, "replenish", rules=short), "replenish")

    def test_only_who_was_here_in_30_days_is_reminded(self, held, buy, clock):
        slow = buy("tea", 55, lasts=60)
        opened = [AppOpen(milliseconds(clock.now - timedelta(days=days)), 480) for days in (29, 30)]
        assert kinds(held([slow, opened[0]], "replenish"), "replenish")
        assert kinds(held([slow, buy("milk", 29)], "replenish"), "replenish")
        assert not kinds(held([slow, opened[1], buy("milk", 30)], "replenish"), "replenish")


class TestCompanions:
    @pytest.mark.parametrize(
        ("days", "due"), [(74, False), (75, True), (80, True), (105, True), (106, False)]
    )
    def test_diapers_are_due_75_to_105_days_after_wipes(self, held, buy, days, due):
        found = held([buy("wipes", days)], "marketing", "family")
        assert ("cross_sell.due:diapers" in found) is due

    def test_the_lag_is_the_evidence(self, held, buy):
        tag = held([buy("wipes", 80)], "marketing", "family")["cross_sell.due:diapers"]
        assert tag.evidence == (TagEvidence("lag_days", 80, 75), TagEvidence("lag_days", 80, 105))
        assert tag.purpose == "marketing"

    def test_who_bought_diapers_since_needs_none(self, held, buy):
        for days in (80, 79, 1):
            bought = [buy("wipes", 80), buy("diapers", days)]
            assert not kinds(held(bought, "marketing", "family"), "cross_sell")
        assert kinds(held([buy("wipes", 80), buy("diapers", 81)], "marketing", "family"), "cross_sell")

    @pytest.mark.parametrize("granted", [("marketing",), ("marketing", "personalize", "health"), ("family",)])
    def test_diapers_are_never_due_without_both_purposes(self, held, buy, granted):
        assert not kinds(held([buy("wipes", 80)], *granted), "cross_sell")

    @pytest.mark.parametrize(("days", "due"), [(6, False), (7, True), (10, True), (11, False)])
    def test_a_case_is_due_a_week_after_the_phone(self, held, buy, days, due):
        assert ("complement.due:phone_case" in held([buy("phone", days)], "marketing")) is due
        assert ("complement.due:socks" in held([buy("shoes", days)], "marketing")) is due

    def test_a_case_bought_with_the_phone_or_later_ends_it(self, held, buy):
        for days in (8, 3):
            assert not kinds(held([buy("phone", 8), buy("phone_case", days)], "marketing"), "complement")

    def test_a_phone_that_went_back_needs_no_case(self, held, buy, refund):
        phone = buy("phone", 8)
        assert not kinds(held([phone, refund(phone, 100)], "marketing"), "complement")

    def test_a_phone_of_an_order_that_went_back_in_parts_needs_no_case(self, held, order, refund):
        both = order(8, lines=(OrderLine("p", "phone", 100), OrderLine("t", "tea", 100)))
        parts = [refund(both, 150), refund(both, 50, 1)]
        assert not kinds(held([both, *parts], "marketing"), "complement")
        assert kinds(held([both, parts[0]], "marketing"), "complement")

    def test_what_two_things_ask_for_is_due_once(self, held, buy):
        both = replace(MAPPED, complement=(*MAPPED.complement, Pair("boots", "socks", 7, 10)))
        found = held([buy("boots", 9), buy("shoes", 8)], "marketing", rules=both)
        assert kinds(found, "complement") == {"complement.due:socks"}


def test_each_purpose_computes_its_own_tags_and_no_other(held, buy):
    bought = [buy("phone", days, lasts=10, discounted=True) for days in (8, 15, 22)]
    shown = {purpose: set(held(bought, purpose)) for purpose in ("personalize", "replenish", "marketing")}
    assert shown["replenish"] == {"replenish.due:phone"}
    assert shown["marketing"] == {"complement.due:phone_case"}
    assert {"behav.price_sensitive", "habit.weekly:phone:sun", "pref.category.phone"} <= shown["personalize"]
    assert not shown["personalize"] & (shown["replenish"] | shown["marketing"])


def test_without_its_purpose_a_sensitive_line_changes_no_tag_and_no_reason(held, buy, met):
    plain = [buy("tea", days, lasts=10) for days in (5, 12, 19)] + [buy("wipes", 80), buy("phone", 8)]
    sensitive = [buy("diapers", days, lasts=12) for days in (5, 12, 19, 40)]
    sensitive += [met(CartAdd, 1, "tea", "diapers")] * 9
    ordinary = ("personalize", "replenish", "marketing")

    def shown(events, *granted):
        """Return the tags that are made of lines and interactions; the others are of whole totals."""
        totals = ("rfm", "lifecycle", "risk", "behav.core", "behav.loyal", "behav.high_freq")
        return {name: tag for name, tag in held(events, *granted).items() if not name.startswith(totals)}

    assert shown([*plain, *sensitive], *ordinary, "health") == shown(plain, *ordinary)
    assert shown([*plain, *sensitive], *ordinary, "family") != shown(plain, *ordinary)


def test_every_kind_of_tag_is_found(held, buy):
    bought = [buy("phone", days, lasts=10, discounted=True) for days in (8, 15, 22, 29, 36)]
    found = held([*bought, buy("wipes", 80)], "personalize", "replenish", "marketing", "family")
    assert {
        kind
        for kind in TAGS
        if not any(name == kind or name.startswith((kind + ".", kind + ":")) for name in found)
    } == {"behav.price_sensitive", "behav.loyal_fan", "risk.churn_warning", "risk.dormant"}


@pytest.mark.slow
def test_tags_of_sixty_orders_of_nine_lines_take_milliseconds(gate, order, clock):
    lines = tuple(OrderLine(f"item-{ix}", f"category {ix % 20}", 100, qty=ix % 3 + 1) for ix in range(9 * 60))
    told = [order(6 * ix, lines=lines[9 * ix : 9 * ix + 9]) for ix in range(60)]
    allowed = gate("personalize", "replenish", "marketing", "family")

    def taken():
        start = time.process_time()
        compute_tags(history(told, MAPPED, clock.now, SENSITIVE), MAPPED, allowed)
        return time.process_time() - start

    assert min(taken() for _ in range(5)) < 0.02
