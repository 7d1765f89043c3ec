"""Facts: what a query may count of the owner and a model learn from, once consent allows.

None is unknown, and an empty set is too.
"""

from __future__ import annotations

from covey_models.histogram import Fact
from covey_sdk.history import History
from covey_sdk.rule_bundle import Rules
from covey_sdk.tag_rules import customer_value

Facts = dict[str, Fact]

RECENT = 84
"""An item first bought less than so many days ago counts as adopted."""

UNKNOWN: Facts = {
    "recency_days": None,
    "orders": None,
    "mean_order_minor": None,
    "segment": None,
    "items": frozenset(),
    "adopted": frozenset(),
}


def facts(history: History, rules: Rules) -> Facts:
    """Return the numbers, the segment and the items of a history.

    Days since the last order, orders in the window, mean order (minor units) and RFM segment; then every item
    that was bought and kept, and those of them first bought lately, as far as the history reaches back.
    """
    return {**UNKNOWN, **_numbers(history, rules), **_items(history)}


def _numbers(history: History, rules: Rules) -> Facts:
    if not history.orders:
        return {}
    segment = customer_value.find_segment(history, rules)
    return {
        "recency_days": history.recency_days,
        "orders": customer_value.count_frequency(history, rules),
        "mean_order_minor": customer_value.mean_order(history),
        "segment": segment[0].value if segment else None,
    }


def _items(history: History) -> Facts:
    bought = history.bought
    adopted = (item for item, ages in bought.items() if ages[0] < RECENT)
    return {"items": frozenset(bought), "adopted": frozenset(adopted)}
