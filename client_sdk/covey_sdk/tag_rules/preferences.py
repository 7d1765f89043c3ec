"""Preference tags: the categories that most of what a person does is about, the latest counting most."""

from __future__ import annotations

from covey_sdk.history import History
from covey_sdk.interests import Weighing
from covey_sdk.rule_bundle import Rules
from covey_sdk.tag_rules.finding import Finding, TagEvidence


def find_preferred_categories(history: History, rules: Rules) -> tuple[Finding, ...]:
    """Return each category with enough events and share of them, which is its score."""
    cuts = rules.preference
    weights = (cuts.order_line, cuts.cart_add, cuts.favorite, cuts.item_view)
    total, each = history.interests.weigh(Weighing(history.today, cuts.days, cuts.half_life, weights))
    found = []
    for category, interest in each:
        share = interest.weight / total.weight if total.weight else 0.0
        if share >= cuts.share and interest.events >= cuts.least_events:
            evidence = (
                TagEvidence("share", share, cuts.share, cuts.days),
                TagEvidence("events", interest.events, cuts.least_events, cuts.days),
            )
            found.append(Finding("pref.category", "yes", evidence, share, f".{category}"))
    return tuple(found)
