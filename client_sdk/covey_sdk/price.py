"""Sensitivity to price: a person who buys only what is discounted."""

from __future__ import annotations

from covey_sdk.finding import Finding, TagEvidence
from covey_sdk.history import History
from covey_sdk.rule_bundle import Rules


def sensitive(history: History, rules: Rules) -> tuple[Finding, ...]:
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
