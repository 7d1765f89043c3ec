from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey_models import SEGMENTS
from covey_sdk.clock import milliseconds
from covey_sdk.events import AppOpen, OrderLine
from covey_sdk.facts import UNKNOWN, facts
from covey_sdk.history import History, Order
from covey_sdk.history_builder import history
from covey_sdk.rule_bundle import BASE, POPULATION
from covey_sdk.tag_rules import customer_value
from covey_sdk.tag_rules.finding import TagEvidence
from covey_sdk.tag_rules.registry import RULES, TAGS, kind_of
from covey_sdk.tags import compute_tags

TODAY = date(2027, 3, 1)


def seen(*orders, opened=None, currency="USD"):
    """A history of (days ago, minor units)."""
    dated = sorted(
        (Order(TODAY - timedelta(days), minor) for days, minor in orders), key=lambda order: order.day
    )
    last_open = None if opened is None else TODAY - timedelta(opened)
    return History(TODAY, tuple(dated), last_open, currency=currency)


def values(seen_history, rules=BASE):
    return {finding.id: finding.value for rule in RULES for finding in rule.find(seen_history, rules)}


def segment(*orders, rules=BASE):
    return values(seen(*orders), rules).get("rfm.segment")


NEAR, FAR, HIGH, LOW = 90, 91, 20_001, 20_000


@pytest.mark.parametrize(
    ("days", "orders", "minor", "expected"),
    [
        (NEAR, 4, HIGH, "important_value"),
        (FAR, 4, HIGH, "important_keep"),
        (NEAR, 3, HIGH, "important_develop"),
        (FAR, 3, HIGH, "important_win_back"),
        (NEAR, 4, LOW, "general_value"),
        (FAR, 4, LOW, "general_keep"),
        (NEAR, 3, LOW, "general_develop"),
        (FAR, 3, LOW, "general_win_back"),
    ],
)
def test_the_eight_segments_at_their_cuts(days, orders, minor, expected):
    assert segment(*[(days, minor)] * orders) == expected


def test_two_big_orders_long_ago_are_to_be_won_back():
    assert segment((100, 26_000), (130, 24_000)) == "important_win_back"


def test_a_mean_of_exactly_200_is_low():
    assert segment((1, 10_000), (2, 30_000)) == "general_develop"
    assert segment((1, 10_000), (2, 30_001)) == "important_develop"
    assert segment(*[(1, 20_000)] * 3, (1, 20_000)) == "general_value"


def test_frequency_counts_365_days_and_recency_and_mean_all_history():
    assert segment((1, 30_000), (1, 30_000), (1, 30_000), (364, 30_000)) == "important_value"
    assert segment((1, 30_000), (1, 30_000), (1, 30_000), (365, 30_000)) == "important_develop"
    assert segment((1, 15_000), (380, 30_000)) == "important_develop"


def test_without_an_order_there_is_no_segment_and_the_person_is_a_prospect():
    assert values(seen()) == {"lifecycle.stage": "prospect"}


def test_the_population_cuts_replace_the_fixed_ones():
    cuts = replace(BASE.rfm, mode=POPULATION, recency_days=12.5, orders=2.5, mean_order_minor=999.5)
    rules = replace(BASE, rfm=cuts)
    assert segment((12, 1000), (12, 1000), (12, 1000), rules=rules) == "important_value"
    assert segment((13, 999), (13, 999), rules=rules) == "general_win_back"


def test_the_segment_shows_its_evidence():
    (found,) = customer_value.find_segment(seen((100, 26_000), (130, 24_000)), BASE)
    assert found.evidence == (
        TagEvidence("recency_days", 100, 90),
        TagEvidence("orders", 2, 4, 365),
        TagEvidence("mean_order_minor", 25_000, 20_000),
    )


def test_segments_are_those_that_queries_count():
    assert tuple(customer_value.SEGMENTS.values()) == SEGMENTS


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(1, 10**6)), min_size=1, max_size=12))
def test_every_buyer_is_in_the_segment_of_their_facts(orders):
    known = facts(seen(*orders), BASE)
    near, frequent = known["recency_days"] <= 90, known["orders"] >= 4
    high = sum(minor for _, minor in orders) > 20_000 * len(orders)
    assert known["segment"] == customer_value.SEGMENTS[near, frequent, high]


def test_facts_are_unknown_without_an_order():
    assert facts(seen(), BASE) == UNKNOWN
    assert facts(seen((3, 100), (2, 301)), BASE) == {
        "recency_days": 2,
        "orders": 2,
        "mean_order_minor": 200.5,
        "segment": "general_develop",
        "items": frozenset(),
        "adopted": frozenset(),
    }


def test_three_orders_in_thirty_days_are_high_frequency():
    assert "behav.high_freq_trier" in values(seen((0, 1), (10, 1), (29, 1)))
    assert "behav.high_freq_trier" not in values(seen((0, 1), (10, 1), (30, 1)))


def test_a_loyal_fan_spends_more_than_1000_in_a_year():
    assert "behav.loyal_fan" not in values(seen((1, 50_000), (364, 50_000)))
    assert "behav.loyal_fan" in values(seen((1, 50_000), (364, 50_001)))
    assert "behav.loyal_fan" not in values(seen((1, 50_000), (365, 50_001)))


def test_a_core_user_orders_four_times_in_a_year():
    assert "behav.core_user" in values(seen((1, 1), (99, 1), (200, 1), (364, 1)))
    assert "behav.core_user" not in values(seen((1, 1), (99, 1), (200, 1), (365, 1)))


@pytest.mark.parametrize(
    ("orders", "stage"),
    [
        ([(0, 100)], "new"),
        ([(0, 100), (0, 100)], "repeat"),
        ([(40, 100)] * 4, "repeat"),
        ([(40, 30_000)] * 4, "super"),
        ([(5, 100)] * 4, "super"),
        ([(40, 100_000)] * 3, "repeat"),
        ([(180, 100)], "new"),
        ([(181, 100)], "dormant"),
        ([(365, 30_000)] * 4, "dormant"),
        ([(366, 100)], "lost"),
    ],
)
def test_stages_of_the_life_cycle(orders, stage):
    assert values(seen(*orders))["lifecycle.stage"] == stage


def test_who_is_silent_for_two_median_gaps_is_warned_about():
    assert "risk.churn_warning" in values(seen((45, 1), (65, 1), (85, 1), (105, 1)))
    assert "risk.churn_warning" in values(seen((41, 1), (61, 1), (81, 1)))
    assert "risk.churn_warning" not in values(seen((40, 1), (60, 1), (80, 1)))
    assert "risk.churn_warning" not in values(seen((45, 1), (65, 1)))


def test_the_gap_is_a_median_over_shopping_days():
    assert seen((45, 1), (55, 1), (75, 1), (375, 1)).median_gap == 20
    assert seen((45, 1), (45, 1), (45, 1), (65, 1)).median_gap == 20
    assert seen((45, 1), (45, 1), (45, 1)).median_gap is None
    assert "risk.churn_warning" not in values(seen((45, 1), (45, 1), (45, 1)))


def test_beyond_180_days_the_warning_is_dormancy():
    at_180, at_181 = (values(seen((days, 1), (days + 20, 1), (days + 40, 1))) for days in (180, 181))
    assert "risk.churn_warning" in at_180
    assert "risk.dormant" not in at_180
    assert "risk.churn_warning" not in at_181
    assert "risk.dormant" in at_181


def test_sixty_days_without_a_visit_are_dormancy_where_visits_are_told():
    assert "risk.dormant" not in values(seen((1, 1), opened=59))
    assert "risk.dormant" in values(seen((1, 1), opened=60))
    assert "risk.dormant" not in values(seen((1, 1)))


def test_refunds_count_against_orders(order, refund, clock):
    whole, part, lines = (
        order(5, 3000),
        order(4, 3000),
        order(3, lines=(OrderLine("a", "tea", 100), OrderLine("b", "tea", 900))),
    )
    told = [whole, part, lines, refund(whole, 3000), refund(part, 1000), refund(lines, 900, 1)]
    counted = history(told, BASE, clock.now)
    assert [order.amount for order in counted.orders] == [2000, 100]
    assert history([*told, refund(part, 2000)], BASE, clock.now).spend == 100


def test_a_free_order_counts_until_it_is_refunded(order, refund, clock):
    free = order(1, lines=(OrderLine("gift", "tea", 0),))
    assert len(history([free], BASE, clock.now).orders) == 1
    assert len(history([free, refund(free, 0)], BASE, clock.now).orders) == 0


@pytest.mark.parametrize("sensitive", [(), ("health", "family")])
def test_sensitive_lines_count_in_totals_alone(order, clock, mapped, sensitive):
    mixed = order(1, lines=(OrderLine("a", "tea", 100), OrderLine("b", "cold_med", 900)))
    unmapped = order(1, lines=(OrderLine("c", "condom", 900),))
    counted = history([mixed, unmapped], mapped, clock.now, frozenset(sensitive))
    assert [order.amount for order in counted.orders] == [1000, 900]
    assert counted.bought.keys() == {"a"}
    assert len(counted.purchases) == (2 if sensitive else 1)


def test_days_are_the_calendar_days_of_the_devices_zone(order, clock):
    late = order(at_ms=milliseconds(datetime(2027, 2, 28, 16, 1, tzinfo=UTC)))
    assert history([late], BASE, clock.now).recency_days == 0
    assert history([late], BASE, clock.now.astimezone(ZoneInfo("UTC"))).recency_days == 1


def test_an_order_that_a_fast_clock_dated_tomorrow_is_of_today(order, clock):
    clock.now = clock.now.replace(hour=23, minute=59)
    tomorrow = order(at_ms=milliseconds(clock.now) + 120_000)
    assert history([tomorrow], BASE, clock.now).recency_days == 0


def test_the_last_visit_counts(clock):
    visits = [AppOpen(milliseconds(clock.now - timedelta(days=days)), 480) for days in (3, 1, 2)]
    assert history(visits, BASE, clock.now).silent_days == 1


def test_a_tag_carries_rules_purpose_and_the_midnight_it_ends(gate, clock):
    held = compute_tags(seen((1, 100)), replace(BASE, version=7), gate("personalize"))
    assert {tag.id for tag in held} == {"rfm.segment", "lifecycle.stage"}
    for tag in held:
        assert (tag.rule_version, tag.purpose, tag.computed_at) == (7, "personalize", clock.now)
        assert tag.expires_at == datetime(2027, 3, 2, tzinfo=clock.now.tzinfo)


def test_no_tag_is_computed_without_its_purpose(gate):
    assert compute_tags(seen((1, 100)), BASE, gate("health", "analytics")) == ()


def test_every_tag_has_a_purpose():
    shown = values(seen((1, 60_000), (2, 1), (3, 1), (4, 50_000))) | values(
        seen((100, 1), (101, 1), (102, 1))
    )
    shown |= values(seen((200, 1)))
    assert {kind for kind in TAGS if kind.startswith(("rfm", "life", "risk"))} <= set(shown) <= set(TAGS)


@pytest.mark.parametrize(
    ("tag", "kind", "about"),
    [
        ("habit.weekly:tea:wed", "habit.weekly", "tea:wed"),
        ("pref.category.tea", "pref.category", "tea"),
        ("rfm.segment", "rfm.segment", ""),
        ("never.heard", "never.heard", ""),
    ],
)
def test_a_tags_kind_and_what_it_is_about(tag, kind, about):
    assert kind_of(tag) == (kind, about)
