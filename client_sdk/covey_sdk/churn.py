"""The churn warning: silent for longer than this person's own rhythm explains."""

from __future__ import annotations

from covey_sdk.finding import Finding, TagEvidence
from covey_sdk.history import History
from covey_sdk.rule_bundle import Rules


def warning(history: History, rules: Rules) -> tuple[Finding, ...]:
    """Return the warning; its score is the silence in median gaps. Beyond `most_days` it is dormancy."""
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
