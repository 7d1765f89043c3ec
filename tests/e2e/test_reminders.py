"""Reminders and offers have purposes of their own: they come with the grant, and go with it."""

from dataclasses import replace
from datetime import timedelta

from covey_privacy.registry_messages import GRANTED, WITHDRAWN
from covey_sdk.events import parse
from covey_sdk.rule_bundle import BASE, Category, sign_rules
from covey_sdk.rule_sections import Pair
from covey_server import coordinator
from covey_simulations.data import orders, shop_rules

BOUGHT = {"tea": (33, 23, 13, 3), "shoes": (8,), "tent": (300,), "coffee": (30,)}
CATEGORIES = tuple(Category(name, "ordinary") for name in (*BOUGHT, "socks", "mug"))
RULES = replace(
    BASE,
    version=shop_rules.rules().version + 1,
    cross_sell=(Pair("coffee", "mug", 20, 40),),
    categories=CATEGORIES,
)


def order(category, days):
    at = orders.CUT - timedelta(days=days)
    return {
        "type": "order_paid",
        "order_id": f"{category}-{days}",
        "at_ms": int(at.timestamp() * 1000),
        "tz_offset_min": -300,
        "currency": "USD",
        "total_minor": 900,
        "lines": [{"item_id": category, "category": category, "paid_minor": 900}],
    }


TENT = parse(order("tent", 300))
TOLD = [parse(order(category, days)) for category, ages in BOUGHT.items() for days in ages]
OPENED = parse({"type": "app_open", "at_ms": int(orders.CUT.timestamp() * 1000), "tz_offset_min": -300})


def tags(device):
    return {tag.id: tag.purpose for tag in device.tags()}


def kept(device):
    return {getattr(event, "order_id", event) for event in device.journal.events()}


def states(device):
    device.sync()
    return {purpose: choice.state for purpose, choice in device.choices.items()}


def test_tags_and_events_come_with_their_purposes_and_go_with_them(small_shop):
    shop = small_shop(count=20)
    with shop.phones().open(shop.world.households[0]) as device:
        device.adopt_rules(sign_rules(RULES, coordinator.operator_key(shop.world.folder)))
        device.withdraw("personalize")
        assert device.record_many([*TOLD, OPENED]) == 0
        device.grant("replenish", "zh")
        assert device.record_many([*TOLD, OPENED]) == len(TOLD)
        assert tags(device) == {"replenish.due:tea": "replenish"}

        device.grant("marketing")
        assert device.record(TENT)
        offers = {"complement.due:socks": "marketing", "cross_sell.due:mug": "marketing"}
        assert tags(device) == {"replenish.due:tea": "replenish", **offers}
        assert set(device.facts().values()) <= {None, frozenset()}

        device.withdraw("replenish")
        assert tags(device) == offers
        assert kept(device) == {event.order_id for event in TOLD}

        device.grant("replenish")
        device.withdraw("marketing")
        assert tags(device) == {"replenish.due:tea": "replenish"}
        assert kept(device) == {event.order_id for event in TOLD} - {TENT.order_id}

        device.withdraw("replenish")
        assert tags(device) == {}
        assert kept(device) == set()
        assert states(device).items() >= {"replenish": WITHDRAWN, "marketing": WITHDRAWN}.items()
        assert GRANTED in states(device).values()
