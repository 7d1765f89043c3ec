"""What a tag tests, in words with the rules' own cuts and windows, in English and Chinese.

describe_test("behav.high_freq_trier", "yes", rules)
# ("3 orders or more in 30 days", "30 天内下单至少 3 次")
"""

from __future__ import annotations

from functools import lru_cache

from covey_sdk.rule_bundle import Rules
from covey_sdk.tag_rules.lifecycle import REPEAT_ORDERS
from covey_sdk.translations import translate


@lru_cache(maxsize=256)
def describe_test(kind: str, value: str, rules: Rules) -> tuple[str, str]:
    """Return what a kind of tag tests; of the life cycle, what the stage `value` takes."""
    rfm, stages, churn, price = rules.rfm, rules.lifecycle, rules.churn, rules.price
    habit, liking, supply = rules.habit, rules.preference, rules.replenish
    numbers = {
        "recency": rfm.recency_days, "often": rfm.orders, "often_days": rfm.order_window_days,
        "mean": rfm.mean_order_minor, "repeat": REPEAT_ORDERS, "dormant": stages.dormant, "lost": stages.lost,
        "silent": stages.silent_days, "core": stages.core_orders, "core_days": stages.core_days,
        "loyal": stages.loyal_minor, "loyal_days": stages.loyal_days, "trier": stages.trier_orders,
        "trier_days": stages.trier_days, "churn": churn.least_orders, "factor": churn.factor,
        "churn_days": churn.most_days, "lines": price.least_lines, "price_days": price.days,
        "weeks": habit.weeks, "least_weeks": habit.least_weeks, "habit_share": 100 * habit.share,
        "liking_days": liking.days, "liking_share": 100 * liking.share, "events": liking.least_events,
        "half_life": liking.half_life, "lead": supply.lead, "active": supply.active_days,
        "buys": supply.least_buys, "supply_days": supply.days,
    }  # fmt: skip
    phrase = f"tests {kind} {value}" if kind == "lifecycle.stage" else f"tests {kind}"
    return translate(phrase, **{name: f"{number:,.12g}" for name, number in numbers.items()})
