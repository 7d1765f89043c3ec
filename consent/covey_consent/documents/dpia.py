"""The impact assessment of one purpose, as far as live facts reach: GDPR Art. 35(7), PIPL Art. 56.

It is a skeleton: a judgement stands in it as a blank, and without those filled in it assesses nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime

from covey_consent.documents.document import Bilingual, Blank, Document, Row
from covey_consent.documents.facts import Facts, RoundFacts
from covey_consent.documents.outline import Outline, Values, read_table
from covey_consent.documents.processing import describe
from covey_consent.documents.toms import read_measures
from covey_consent.policy.purposes import Purpose, find
from covey_consent.storage.models import Assessment
from covey_privacy.evidence import few
from covey_privacy.floors import PRODUCTION

OUTLINE = Outline("dpia")

PURSUED = Bilingual("pursued now", "正在开展")
NOT_OPEN = Bilingual("not open yet", "尚未启用")
LEVEL = Blank("low, medium or high")
OWN_RISK = (Blank("a risk of your own shop"), Blank("what stands against it"), Blank("what remains"))


def dpia(facts: Facts, name: str) -> Document:
    """Return the skeleton for a purpose, also before it opens. Raises as `purposes.find` does."""
    purpose = find(name)
    values, rounds = _values(facts, purpose), facts.rounds_for(purpose.id)
    figures = []
    if (notice := facts.notices.get(purpose.id)) and (notice.epsilon or rounds):
        figures = [OUTLINE.section("figures", values, map(_round_row, rounds) if rounds else None)]
    sections = (
        OUTLINE.section("description", values),
        OUTLINE.section("necessity", values),
        *figures,
        OUTLINE.section("risks", values, _risks(purpose.id)),
        OUTLINE.section("safeguards", values, itertools.chain(*read_measures(facts).values())),
        OUTLINE.section("conclusion", values),
        OUTLINE.section("handing_in", values),
    )
    return OUTLINE.document(facts, sections, purpose=purpose.en, purpose_zh=purpose.zh)


def _values(facts: Facts, purpose: Purpose) -> Values:
    described, notice = describe(purpose, facts), facts.notices.get(purpose.id)
    languages = ", ".join(text.language for text in notice.texts) if notice else ""
    handed_in = tuple(_handed_in(each) for each in facts.assessments if each.purpose == purpose.id)
    return {
        **described,
        "in_force": notice,
        "purpose": f"{purpose.id}: {purpose.en}",
        "standing": PURSUED if purpose in facts.purposes else NOT_OPEN,
        "triggers": described["cases"],
        "granted": few(facts.counts.get(purpose.id, {}).get("granted", 0)),
        "notice": f"version {notice.semver}, in {languages}" if notice else "none is in force",
        "default": "off" if purpose.needs_consent else "on: no consent is asked for",
        "cohort_floor": PRODUCTION.least_cohort(purpose.id),
        "cell_floor": PRODUCTION.least_cell,
        "rounds": len(facts.rounds_for(purpose.id)),
        "brought": handed_in or "none",
    }


def _round_row(logged: RoundFacts) -> Row:
    manifest = logged.manifest
    return (
        manifest.round_id,
        manifest.norm,
        manifest.sigma,
        manifest.delta,
        manifest.epsilon,
        manifest.plan.epsilon if manifest.plan else "no training",
        manifest.terms.least_set if manifest.terms else "earlier version",
        manifest.honest,
        manifest.gamma,
        manifest.least_issued,
        manifest.least_cell,
        logged.evidence.outcome if logged.evidence else "not over",
    )


def _risks(purpose: str) -> Iterator[Row]:
    """Return the risks of a purpose; those "of rounds" are of purposes whose data leave the phone in sums."""
    for risk in read_table("risks.toml")["risk"]:
        of = PRODUCTION.cohorts if risk["of"] == "rounds" else risk["of"]
        if of == "all" or purpose in of:
            yield (Bilingual(risk["risk"], risk["zh"]), risk["against"], risk["remains"], LEVEL, LEVEL)
    yield (*OWN_RISK, LEVEL, LEVEL)


def _handed_in(assessment: Assessment) -> str:
    approved = f"approved by {assessment.approved_by}" if assessment.approved_by else "not approved yet"
    until = datetime.fromtimestamp(assessment.valid_until, UTC).date()
    return f"{assessment.document.hex()}: {assessment.kind} by {assessment.author}, {approved}, until {until}"
