"""RFM: eight segments from recency, frequency and monetary value (here the mean order)."""

from __future__ import annotations

from collections.abc import Mapping

from covey_sdk.finding import Finding, TagEvidence
from covey_sdk.history import History
from covey_sdk.rule_bundle import Rules

SEGMENTS: Mapping[tuple[bool, bool, bool], str] = {
    (True, True, True): "important_value",
    (False, True, True): "important_keep",
    (True, False, True): "important_develop",
    (False, False, True): "important_win_back",
    (True, True, False): "general_value",
    (False, True, False): "general_keep",
    (True, False, False): "general_develop",
    (False, False, False): "general_win_back",
}
"""By (near, high F, high M)."""


def segment(history: History, rules: Rules) -> tuple[Finding, ...]:
    """Return the segment; nothing without an order, or where no cut is in the currency of the orders."""
    recency, cuts = history.recency_days, rules.rfm
    cut = rules.mean_order_cut(history.currency)
    if recency is None or cut is None:
        return ()
    orders = frequency(history, rules)
    mean = mean_order(history)
    # Compared as sums: a mean of exactly the cut must not turn high by rounding.
    high = history.spend > cut * len(history.orders)
    evidence = (
        TagEvidence("recency_days", recency, cuts.recency_days),
        TagEvidence("orders", orders, cuts.orders, cuts.order_window_days),
        TagEvidence("mean_order_minor", mean, cut),
    )
    return (
        Finding("rfm.segment", SEGMENTS[recency <= cuts.recency_days, orders >= cuts.orders, high], evidence),
    )


def frequency(history: History, rules: Rules) -> int:
    """Return the orders in the rules' window."""
    return len(history.within(rules.rfm.order_window_days))


def mean_order(history: History) -> float:
    """Return the mean order in minor units over all history, which holds at least one order."""
    return history.spend / len(history.orders)
