"""The registry of tag rules: each kind of tag, its purpose and what finds it, in the order of computation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from covey_sdk.history import History
from covey_sdk.purposes import MARKETING, PERSONALIZE, REPLENISH
from covey_sdk.rule_bundle import Rules
from covey_sdk.tag_rules import customer_value, lifecycle, preferences, timing
from covey_sdk.tag_rules.finding import Finding


@dataclass(frozen=True, slots=True)
class TagRule:
    """A kind of tag, the purpose under which it is computed, and the function that finds its tags.

    Of a kind with a tag for each category, `separator` stands between kind and category in an id.
    """

    kind: str
    purpose: str
    find: Callable[[History, Rules], tuple[Finding, ...]]
    separator: str = ""


RULES = (
    TagRule("rfm.segment", PERSONALIZE, customer_value.find_segment),
    TagRule("lifecycle.stage", PERSONALIZE, lifecycle.find_stage),
    TagRule("behav.core_user", PERSONALIZE, lifecycle.find_core_user),
    TagRule("behav.loyal_fan", PERSONALIZE, lifecycle.find_loyal_fan),
    TagRule("behav.high_freq_trier", PERSONALIZE, lifecycle.find_frequent_trier),
    TagRule("risk.dormant", PERSONALIZE, lifecycle.find_dormancy),
    TagRule("risk.churn_warning", PERSONALIZE, lifecycle.find_churn_warning),
    TagRule("behav.price_sensitive", PERSONALIZE, customer_value.find_price_sensitivity),
    TagRule("habit.weekly", PERSONALIZE, timing.find_weekly_habits, ":"),
    TagRule("pref.category", PERSONALIZE, preferences.find_preferred_categories, "."),
    TagRule("replenish.due", REPLENISH, timing.find_due_replenishments, ":"),
    TagRule("cross_sell.due", MARKETING, timing.find_due_cross_sells, ":"),
    TagRule("complement.due", MARKETING, timing.find_due_complements, ":"),
)

TAGS: Mapping[str, str] = {rule.kind: rule.purpose for rule in RULES}
"""The purpose under which each kind of tag is computed."""

MEMBERS: Mapping[str, str] = {rule.kind: rule.separator for rule in RULES if rule.separator}
"""The kinds with a tag for each category, and what stands between kind and category in an id."""


def kind_of(tag: str) -> tuple[str, str]:
    """Return a tag id's kind and what it is about: ("habit.weekly", "tea:wed"), or all of it and nothing."""
    for kind in TAGS:
        if tag.startswith((f"{kind}:", f"{kind}.")):
            return kind, tag[len(kind) + 1 :]
    return tag, ""


def find_tags(history: History, rules: Rules, withheld: Callable[[str], bool]) -> Iterator[Finding]:
    """Yield what all rules find, in their order.

    A behaviour that is `withheld`, by its tag's id, does not count in the life cycle's stage.
    """
    for rule in RULES:
        find = rule.find
        if rule.kind == "lifecycle.stage":
            find = partial(lifecycle.find_stage, withheld=withheld)
        yield from find(history, rules)
