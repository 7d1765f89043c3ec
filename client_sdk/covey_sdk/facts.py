"""Facts: the few numbers about the owner that a query may count, once consent allows. None is unknown."""

from __future__ import annotations

from covey_sdk import rfm
from covey_sdk.history import History
from covey_sdk.rules import Rules

Facts = dict[str, float | str | None]

UNKNOWN: Facts = {"recency_days": None, "orders": None, "mean_order_minor": None, "segment": None}


def facts(history: History, rules: Rules) -> Facts:
    """Return days since the last order, orders in the window, mean order (minor units) and RFM segment."""
    if not history.orders:
        return dict(UNKNOWN)
    return {
        "recency_days": history.recency_days,
        "orders": rfm.frequency(history, rules),
        "mean_order_minor": rfm.mean_order(history),
        "segment": rfm.segment(history, rules)[0].value,
    }
