"""A tag says what it tests, with the cut and the period; its evidence names the period it is over."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from covey_sdk.history import History, Order
from covey_sdk.rule_bundle import BASE
from covey_sdk.tag_rules import lifecycle
from covey_sdk.tag_rules.descriptions import describe_test
from covey_sdk.tag_rules.registry import TAGS

TODAY = date(2026, 1, 31)
STAGES = ("prospect", "new", "repeat", "super", "dormant", "lost")


def seen(*ages: int) -> History:
    orders = tuple(Order(TODAY - timedelta(days=age), 100) for age in sorted(ages, reverse=True))
    return History(TODAY, orders, currency="USD")


def test_tags_say_what_they_test():
    assert describe_test("behav.high_freq_trier", "yes", BASE) == (
        "3 orders or more in 30 days",
        "30 天内下单至少 3 次",
    )
    (found,) = lifecycle.find_frequent_trier(seen(1, 2, 3), BASE)
    assert [(each.value, each.cut, each.window_days) for each in found.evidence] == [(3, 3, 30)]


@pytest.mark.parametrize("kind", sorted(TAGS))
def test_every_tag_has_its_words_in_both_languages(kind):
    for value in STAGES if kind == "lifecycle.stage" else ("yes",):
        english, chinese = describe_test(kind, value, BASE)
        assert english.isascii()
        assert any("\u4e00" <= letter <= "\u9fff" for letter in chinese)
        assert "{" not in english + chinese


def test_the_words_follow_the_rules_in_use():
    rules = replace(BASE, lifecycle=replace(BASE.lifecycle, trier_orders=5, trier_days=14))
    assert describe_test("behav.high_freq_trier", "yes", rules)[0] == "5 orders or more in 14 days"


def test_a_device_tells_them_with_its_tags(device):
    device.grant("personalize")
    stages = [tag for tag in device.tags() if tag.id == "lifecycle.stage"]
    assert [(tag.said_en, tag.said_zh) for tag in stages] == [("No order is known", "没有已知的订单")]
    assert datetime.now(UTC) is not None
