"""Life cycle tags: the stage, the behaviours that make a super user, dormancy and the churn warning."""

from __future__ import annotations

from collections.abc import Callable

from covey_sdk.history import History
from covey_sdk.rule_bundle import Rules
from covey_sdk.tag_rules.finding import Finding, TagEvidence

REPEAT_ORDERS = 2


def find_stage(
    history: History, rules: Rules, withheld: Callable[[str], bool] = lambda _: False
) -> tuple[Finding, ...]:
    """Return the stage: prospect, new, repeat, super, dormant or lost. Silence overrides all others.

    Nothing where it hangs on whether a core user is a loyal fan, and no cut is in the currency of the orders.
    A behaviour that is `withheld`, by its tag's id, makes no one a super user.
    """
    cuts, recency = rules.lifecycle, history.recency_days
    orders = TagEvidence("orders", len(history.orders), REPEAT_ORDERS)
    if recency is None:
        return (_stage("prospect", orders),)
    if recency > cuts.lost:
        return (_stage("lost", TagEvidence("recency_days", recency, cuts.lost)),)
    if recency > cuts.dormant:
        return (_stage("dormant", TagEvidence("recency_days", recency, cuts.dormant)),)
    behaviours = (
        *find_core_user(history, rules),
        *find_loyal_fan(history, rules),
        *find_frequent_trier(history, rules),
    )
    shown = [finding for finding in behaviours if not withheld(finding.id)]
    is_core = any(finding.id == "behav.core_user" for finding in shown)
    if is_core and len(shown) > 1:
        return (_stage("super", *(evidence for finding in shown for evidence in finding.evidence)),)
    if is_core and rules.money_in(history.currency) is None:
        return ()
    return (_stage("repeat" if len(history.orders) >= REPEAT_ORDERS else "new", orders),)


def find_core_user(history: History, rules: Rules) -> tuple[Finding, ...]:
    """Return `behav.core_user` for many orders in a long window."""
    cuts = rules.lifecycle
    return _often("behav.core_user", history, cuts.core_orders, cuts.core_days)


def find_loyal_fan(history: History, rules: Rules) -> tuple[Finding, ...]:
    """Return `behav.loyal_fan` for much spent; nothing where no cut is in the currency of the orders."""
    money, days = rules.money_in(history.currency), rules.lifecycle.loyal_days
    spend = sum([order.amount for order in history.within(days)])
    if money is None or spend <= money.loyal_minor:
        return ()
    return (Finding("behav.loyal_fan", "yes", (TagEvidence("spend_minor", spend, money.loyal_minor, days),)),)


def find_frequent_trier(history: History, rules: Rules) -> tuple[Finding, ...]:
    """Return `behav.high_freq_trier` for many orders in a short window."""
    cuts = rules.lifecycle
    return _often("behav.high_freq_trier", history, cuts.trier_orders, cuts.trier_days)


def find_dormancy(history: History, rules: Rules) -> tuple[Finding, ...]:
    """Return `risk.dormant` when orders or, where they are told, visits to the app stopped long ago."""
    cuts, recency, silent = rules.lifecycle, history.recency_days, history.silent_days
    evidence = []
    if recency is not None and recency > cuts.dormant:
        evidence.append(TagEvidence("recency_days", recency, cuts.dormant))
    if silent is not None and silent >= cuts.silent_days:
        evidence.append(TagEvidence("silent_days", silent, cuts.silent_days))
    return (Finding("risk.dormant", "yes", tuple(evidence)),) if evidence else ()


def find_churn_warning(history: History, rules: Rules) -> tuple[Finding, ...]:
    """Return `risk.churn_warning`: silent for longer than this person's own rhythm explains.

    Its score is the silence in median gaps. Beyond `most_days` the silence is dormancy.
    """
    cuts, recency, gap = rules.churn, history.recency_days, history.median_gap
    if recency is None or gap is None or len(history.orders) < cuts.least_orders:
        return ()
    if not cuts.factor * gap < recency <= cuts.most_days:
        return ()
    evidence = (
        TagEvidence("recency_days", recency, cuts.factor * gap),
        TagEvidence("orders", len(history.orders), cuts.least_orders),
    )
    return (Finding("risk.churn_warning", "yes", evidence, recency / gap),)


def _stage(value: str, *evidence: TagEvidence) -> Finding:
    return Finding("lifecycle.stage", value, evidence)


def _often(kind: str, history: History, least: int, days: int) -> tuple[Finding, ...]:
    orders = len(history.within(days))
    return (Finding(kind, "yes", (TagEvidence("orders", orders, least, days),)),) if orders >= least else ()
