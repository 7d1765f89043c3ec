"""The life cycle: prospect, new, repeat, super, dormant, lost; and the behaviours that make a super user."""

from __future__ import annotations

from collections.abc import Callable

from covey_sdk.finding import Finding, TagEvidence
from covey_sdk.history import History
from covey_sdk.rule_bundle import Rules

REPEAT_ORDERS = 2


def stage(
    history: History, rules: Rules, withheld: Callable[[str], bool] = lambda _: False
) -> tuple[Finding, ...]:
    """Return the stage. Silence overrides: who has not ordered for long is dormant, then lost.

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
    shown = [finding for finding in behaviours(history, rules) if not withheld(finding.id)]
    if len(shown) > 1 and "behav.core_user" in {finding.id for finding in shown}:
        return (_stage("super", *(evidence for finding in shown for evidence in finding.evidence)),)
    if shown and shown[0].id == "behav.core_user" and rules.money_in(history.currency) is None:
        return ()
    return (_stage("repeat" if len(history.orders) >= REPEAT_ORDERS else "new", orders),)


def behaviours(history: History, rules: Rules) -> tuple[Finding, ...]:
    """Return the behaviours shown: core user, loyal fan, high-frequency trier.

    No loyal fan shows where no cut is in the currency of the orders.
    """
    cuts, money = rules.lifecycle, rules.money_in(history.currency)
    core = len(history.within(cuts.core_days))
    spend = sum([order.amount for order in history.within(cuts.loyal_days)])
    recent = len(history.within(cuts.trier_days))
    often = TagEvidence("orders", core, cuts.core_orders, cuts.core_days)
    much = TagEvidence("spend_minor", spend, money.loyal_minor if money else 0, cuts.loyal_days)
    lately = TagEvidence("orders", recent, cuts.trier_orders, cuts.trier_days)
    found = (
        ("behav.core_user", core >= cuts.core_orders, often),
        ("behav.loyal_fan", money is not None and spend > money.loyal_minor, much),
        ("behav.high_freq_trier", recent >= cuts.trier_orders, lately),
    )
    return tuple(Finding(name, "yes", (evidence,)) for name, holds, evidence in found if holds)


def dormant(history: History, rules: Rules) -> tuple[Finding, ...]:
    """Return `risk.dormant` when orders or, where they are told, visits to the app stopped long ago."""
    cuts, recency, silent = rules.lifecycle, history.recency_days, history.silent_days
    evidence = []
    if recency is not None and recency > cuts.dormant:
        evidence.append(TagEvidence("recency_days", recency, cuts.dormant))
    if silent is not None and silent >= cuts.silent_days:
        evidence.append(TagEvidence("silent_days", silent, cuts.silent_days))
    return (Finding("risk.dormant", "yes", tuple(evidence)),) if evidence else ()


def _stage(value: str, *evidence: TagEvidence) -> Finding:
    return Finding("lifecycle.stage", value, evidence)
