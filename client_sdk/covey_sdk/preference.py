"""Preferences: the categories that most of what a person does is about, the latest counting most."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from covey_sdk.finding import Evidence, Finding
from covey_sdk.history import History
from covey_sdk.rules import Rules


def categories(history: History, rules: Rules) -> tuple[Finding, ...]:
    """Return each category with enough events and share of them, which is its score."""
    cuts = rules.preference
    counts: Counter[str] = Counter()
    weights: defaultdict[str, float] = defaultdict(float)
    total = 0.0
    for age, weight, named in _events(history, rules):
        if age < cuts.days:
            decayed = weight * 2.0 ** (-age / cuts.half_life)
            total += decayed
            for category in named:
                counts[category] += 1
                weights[category] += decayed
    found = []
    for category, count in counts.items():
        share = weights[category] / total if total else 0.0
        if share >= cuts.share and count >= cuts.least_events:
            evidence = (
                Evidence("share", share, cuts.share, cuts.days),
                Evidence("events", count, cuts.least_events, cuts.days),
            )
            found.append(Finding("pref.category", "yes", evidence, share, f".{category}"))
    return tuple(found)


def _events(history: History, rules: Rules) -> Iterator[tuple[int, float, Sequence[str]]]:
    """Yield age in days, weight and categories of what the person did."""
    cuts = rules.preference
    weights = {"item_view": cuts.item_view, "cart_add": cuts.cart_add, "favorite": cuts.favorite}
    for bought in history.purchases:
        yield history.age(bought.day), cuts.order_line, (bought.category,)
    for touch in history.touches:
        yield history.age(touch.day), weights[touch.kind], touch.categories
