"""Value tags: the RFM segment (recency, frequency, monetary value) and sensitivity to price."""

from __future__ import annotations

from collections.abc import Mapping

from covey_sdk.history import History
from covey_sdk.rule_bundle import Rules
from covey_sdk.tag_rules.finding import Finding, TagEvidence

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


def find_segment(history: History, rules: Rules) -> tuple[Finding, ...]:
    """Return the segment; nothing without an order, or where no cut is in the currency of the orders."""
    recency, cuts = history.recency_days, rules.rfm
    cut = rules.mean_order_cut(history.currency)
    if recency is None or cut is None:
        return ()
    orders = count_frequency(history, rules)
    # Compared as sums: a mean of exactly the cut must not turn high by rounding.
    high = history.spend > cut * len(history.orders)
    evidence = (
        TagEvidence("recency_days", recency, cuts.recency_days),
        TagEvidence("orders", orders, cuts.orders, cuts.order_window_days),
        TagEvidence("mean_order_minor", mean_order(history), cut),
    )
    segment = SEGMENTS[recency <= cuts.recency_days, orders >= cuts.orders, high]
    return (Finding("rfm.segment", segment, evidence),)


def count_frequency(history: History, rules: Rules) -> int:
    """Return the number of orders in the rules' window."""
    return len(history.within(rules.rfm.order_window_days))


def mean_order(history: History) -> float:
    """Return the mean order in minor units over all history, which holds at least one order."""
    return history.spend / len(history.orders)


def find_price_sensitivity(history: History, rules: Rules) -> tuple[Finding, ...]:
    """Return `behav.price_sensitive` when every line of the window, and enough of them, was discounted."""
    cuts = rules.price
    lines = history.purchases_within(cuts.days)
    if len(lines) < cuts.least_lines or not all(bought.discounted for bought in lines):
        return ()
    evidence = (
        TagEvidence("lines", len(lines), cuts.least_lines, cuts.days),
        TagEvidence("discounted_lines", len(lines), len(lines), cuts.days),
    )
    return (Finding("behav.price_sensitive", "yes", evidence),)
