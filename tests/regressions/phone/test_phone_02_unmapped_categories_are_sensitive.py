"""A category that the shop has not mapped counts as sensitive: its lines are dropped at event write."""

import pytest

from covey_sdk.events import Line
from covey_sdk.interactions import ItemView

WORDS = (
    *("pregnancy tests", "nappies", "condom", "tampons", "insulin", "baby formula"),
    *("避孕套", "验孕棒", "纸尿裤", "感冒药", "卫生巾"),
)


@pytest.mark.parametrize("category", WORDS)
def test_phone_02_unmapped_categories_are_sensitive(device, order, met, category):
    for days in (1, 8, 15, 22):
        device.record(order(days, lines=(Line("item of it", category, 500, days_per_unit=7),)))
        device.record(met(ItemView, days, category))
    held = device.export()
    assert device.facts()["items"] == frozenset()
    assert {tag.id for tag in device.tags()} <= {
        "rfm.segment", "lifecycle.stage", "behav.core_user", "behav.high_freq_trier",
    }  # fmt: skip
    assert category not in repr(held["events"]) + repr(held["tags"]) + repr(held["facts"])
    assert "item of it" not in repr(held)
    assert device.facts()["orders"] == 4
