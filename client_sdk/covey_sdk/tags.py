"""Tags: what the phone concludes about its owner. They never leave it.

A tag that is absent is unknown, not false. Each carries the evidence that it rests on, so that it can be
explained, and holds until the next midnight, when the days turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from covey_sdk import churn, companion, habit, lifecycle, preference, price, replenish, rfm
from covey_sdk.finding import Evidence, Finding
from covey_sdk.gate import Gate
from covey_sdk.history import History
from covey_sdk.purposes import TAGS
from covey_sdk.rules import Rules
from covey_sdk.tag_tests import said_of

FINDERS = (
    rfm.segment,
    lifecycle.stage,
    lifecycle.behaviours,
    lifecycle.dormant,
    churn.warning,
    price.sensitive,
    habit.weekly,
    preference.categories,
    replenish.due,
    companion.cross_sell,
    companion.complement,
)


@dataclass(frozen=True, slots=True)
class Tag:
    """A conclusion, under one purpose and one version of the rules; `said_en` and `said_zh` tell its test."""

    id: str
    value: str
    score: float
    computed_at: datetime
    expires_at: datetime
    evidence: tuple[Evidence, ...]
    rule_version: int
    purpose: str
    said_en: str
    said_zh: str


def tags(history: History, rules: Rules, gate: Gate) -> tuple[Tag, ...]:
    """Return the tags that hold at the gate's time, of the purposes that it allows."""
    findings = [finding for find in FINDERS for finding in find(history, rules)]
    return tuple(_tag(finding, rules, gate.now) for finding in findings if gate.allows(TAGS[finding.kind]))


def _tag(finding: Finding, rules: Rules, now: datetime) -> Tag:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return Tag(
        finding.id,
        finding.value,
        finding.score,
        now,
        midnight,
        finding.evidence,
        rules.version,
        TAGS[finding.kind],
        *said_of(finding.kind, finding.value, rules),
    )
