"""The anonymity dossier of one round, in the order of EDPB Opinion 28/2024.

It documents; whether a released sum or model is anonymous is judged case by case, and not by this document.
"""

from __future__ import annotations

import math

from covey_consent.documents.collusion import bound_odds, find_collusion, mechanisms_of
from covey_consent.documents.document import Bilingual, Document, Row
from covey_consent.documents.facts import Facts
from covey_consent.documents.outline import Outline, Values
from covey_consent.errors import ConflictError
from covey_consent.policy.purposes import find
from covey_privacy.dp import account
from covey_privacy.evidence import Evidence
from covey_privacy.manifest import Manifest
from covey_privacy.secagg.terms import Kind

OUTLINE = Outline("dossier")
SECTIONS = ("release", "design", "guarantee", "aggregation", "collusion", "tests", "documents")

KINDS = {
    Kind.STANDING: Bilingual("organisations", "机构"),
    Kind.DRAWN: Bilingual("phones drawn by lot", "抽签选出的手机"),
}


def dossier(facts: Facts, round_id: str) -> Document:
    """Return the round's dossier. Raises UnknownError, or ConflictError while the round has no evidence."""
    logged = facts.round(round_id)
    manifest, evidence = logged.manifest, logged.evidence
    if evidence is None and logged.row.evidence_index is not None:
        raise ConflictError(
            f"the evidence of round {round_id!r} was logged by an earlier version of Covey: make its dossier "
            "with that one"
        )
    if evidence is None:
        raise ConflictError(
            f"round {round_id!r} has no logged evidence yet, so nobody can say what it released; make the "
            "dossier when the round is over"
        )
    plan, figure = manifest.plan, find_collusion(mechanisms_of(manifest), manifest.honest, manifest.delta)
    recomputed = account([manifest.as_step.mechanism], manifest.delta)
    agrees = facts.controller.same_operator == evidence.shared_operator
    values: Values = {
        "facts": facts,
        "logged": logged,
        "manifest": manifest,
        "evidence": evidence,
        "terms": manifest.require_terms(),
        "figure": figure,
        "training": f"step {manifest.step + 1} of {len(plan.steps)}" if plan else "none: a count",
        "profile_note": "floors for trying things out, not for production"
        if evidence.profile == "test"
        else "",
        "sources": tuple(f"{name}: {', '.join(find(name).data)}" for name in manifest.purposes),
        "plan_epsilon": plan.epsilon if plan else "the round is no training's step",
        "rdp": _rounded(recomputed.rdp),
        "gaussian": _rounded(recomputed.gaussian),
        "holds": recomputed.epsilon <= evidence.epsilon * (1 + 1e-6),
        "odds": round(bound_odds(evidence.epsilon, evidence.delta), 4),
        "complaints": _complaints(manifest, evidence) or "no organisation sits on a committee",
        "shared_operator_note": "" if agrees else "the controller's facts say otherwise now",
        "collusion_of": "all steps of the training" if plan else "this round",
        "collusion_epsilon": _rounded(figure.epsilon),
        "collusion": str(figure),
    }
    committees: list[Row] = [
        (KINDS[Kind(each.kind)], each.members, each.threshold, each.opened) for each in evidence.committees
    ]
    sections = (
        OUTLINE.section(name, values, committees if name == "aggregation" else None) for name in SECTIONS
    )
    return OUTLINE.document(facts, sections, round_id=round_id)


def _complaints(manifest: Manifest, evidence: Evidence) -> tuple[str, ...]:
    """Return how many members of the included set each organisation complained of."""
    counts = {each.decryptor: each.members for each in evidence.complaints}
    organisations = enumerate(manifest.require_terms().organisations, 1)
    return tuple(f"{key.hex()}: {counts.get(seat, 0)}" for seat, key in organisations)


def _rounded(epsilon: float) -> float | str:
    return round(epsilon, 6) if math.isfinite(epsilon) else "it has nothing to say"
