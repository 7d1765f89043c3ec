"""Tags: what the phone concludes about its owner. They never leave it.

A tag that is absent is unknown, not false. Each carries the evidence that it rests on, so that it can be
explained, and holds until the next midnight, when the days turn. The person may block a tag or correct it
(`covey_sdk.tag_choices`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from covey_sdk.consent_gate import ConsentGate
from covey_sdk.history import History
from covey_sdk.rule_bundle import Rules
from covey_sdk.tag_choices import Choices, Correction
from covey_sdk.tag_rules.descriptions import describe_test
from covey_sdk.tag_rules.finding import Finding, TagEvidence
from covey_sdk.tag_rules.registry import TAGS, find_tags
from covey_sdk.translations import translate

CORRECTED = "corrected_by_you"
"""The fact that stands in the evidence of a tag that the person corrected."""

NO_CHOICES = Choices()


@dataclass(frozen=True, slots=True)
class Tag:
    """A conclusion, under one purpose and one version of the rules; `said_en` and `said_zh` tell its test."""

    id: str
    value: str
    score: float
    computed_at: datetime
    expires_at: datetime
    evidence: tuple[TagEvidence, ...]
    rule_version: int
    purpose: str
    said_en: str
    said_zh: str


def compute_tags(
    history: History, rules: Rules, gate: ConsentGate, choices: Choices = NO_CHOICES
) -> tuple[Tag, ...]:
    """Return the tags that hold at the gate's time, of the purposes that it allows, as the person chose."""
    tags = (
        _tag(finding, rules, gate.now)
        for finding in find_tags(history, rules, choices.withholds)
        if not choices.blocks(finding.id) and gate.allows(TAGS[finding.kind])
    )
    return tuple(_corrected(tag, choices.correction(tag.id)) for tag in tags)


def _corrected(tag: Tag, correction: Correction | None) -> Tag:
    """Return the tag with the person's value in place of the one found, if there is one."""
    if correction is None:
        return tag
    evidence = (TagEvidence(CORRECTED, 1, 1),)
    english, chinese = translate(CORRECTED)
    return replace(
        tag, value=correction.value, score=1.0, evidence=evidence, said_en=english, said_zh=chinese
    )


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
        *describe_test(finding.kind, finding.value, rules),
    )
