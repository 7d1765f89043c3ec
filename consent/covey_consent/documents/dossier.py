"""The anonymity dossier of one round, in the order of EDPB Opinion 28/2024.

It documents; whether a released sum or model is anonymous is judged case by case, and not by this document.
"""

from __future__ import annotations

import math

from covey_consent.documents.collusion import bound_odds, find_collusion, mechanisms_of
from covey_consent.documents.document import Bilingual, Document, Section, Value
from covey_consent.documents.facts import Facts, RoundFacts
from covey_consent.documents.outline import Outline
from covey_consent.errors import ConflictError
from covey_consent.policy.purposes import find
from covey_privacy.dp import account
from covey_privacy.evidence import Evidence
from covey_privacy.manifest import Manifest
from covey_privacy.secagg.terms import Kind

OUTLINE = Outline("dossier")

KINDS = {
    Kind.STANDING: Bilingual("organisations", "机构"),
    Kind.DRAWN: Bilingual("phones drawn by lot", "抽签选出的手机"),
}


def dossier(facts: Facts, round_id: str) -> Document:
    """Return the round's dossier. Raises UnknownError, or ConflictError while the round has no evidence."""
    logged = facts.round(round_id)
    manifest, evidence = logged.manifest, logged.evidence
    if evidence is None and logged.evidence_index is not None:
        raise ConflictError(
            f"the evidence of round {round_id!r} was logged by an earlier version of Covey: make its dossier "
            "with that one"
        )
    if evidence is None:
        raise ConflictError(
            f"round {round_id!r} has no logged evidence yet, so nobody can say what it released; make the "
            "dossier when the round is over"
        )
    sections = (
        _release(manifest, evidence),
        _design(manifest),
        _guarantee(manifest, evidence),
        _aggregation(manifest, evidence),
        _collusion(facts, manifest, evidence),
        OUTLINE.section("tests", {"code_version": evidence.code_version}),
        _documents(facts, logged, evidence),
    )
    return OUTLINE.document(facts, sections, {"round_id": round_id})


def _release(manifest: Manifest, evidence: Evidence) -> Section:
    plan = manifest.plan
    values: dict[str, Value] = {
        "query": evidence.query,
        "purposes": evidence.purposes,
        "outcome": evidence.outcome,
        "training": f"step {manifest.step + 1} of {len(plan.steps)}" if plan else "none: a count",
        "cohort": evidence.cohort,
        "excluded": evidence.excluded,
        "denials": evidence.denials,
        "profile": evidence.profile,
        "profile_note": "floors for trying things out, not for production"
        if evidence.profile == "test"
        else "",
        "model": evidence.model.hex(),
        "code_version": evidence.code_version,
    }
    return OUTLINE.section("release", values)


def _design(manifest: Manifest) -> Section:
    values: dict[str, Value] = {
        "sources": tuple(f"{name}: {', '.join(find(name).data)}" for name in manifest.purposes),
        "clip": manifest.norm,
        "length": manifest.length,
        "sigma": manifest.sigma,
        "honest": manifest.honest,
        "most": manifest.require_terms().most,
        "gamma": manifest.gamma,
        "least_issued": manifest.least_issued,
        "least_cell": manifest.least_cell,
    }
    return OUTLINE.section("design", values)


def _guarantee(manifest: Manifest, evidence: Evidence) -> Section:
    recomputed = account([manifest.as_step.mechanism], manifest.delta)
    values: dict[str, Value] = {
        "epsilon": evidence.epsilon,
        "delta": evidence.delta,
        "plan_epsilon": manifest.plan.epsilon if manifest.plan else "the round is no training's step",
        "epsilon_so_far": evidence.epsilon_so_far,
        "rdp": _rounded(recomputed.rdp),
        "gaussian": _rounded(recomputed.gaussian),
        "holds": recomputed.epsilon <= evidence.epsilon * (1 + 1e-6),
        "odds": round(bound_odds(evidence.epsilon, evidence.delta), 4),
    }
    return OUTLINE.section("guarantee", values)


def _aggregation(manifest: Manifest, evidence: Evidence) -> Section:
    """Return who could open the sum, and how many members each organisation complained of."""
    terms = manifest.require_terms()
    counts = {each.decryptor: each.members for each in evidence.complaints}
    committees = (
        (KINDS[Kind(each.kind)], each.members, each.threshold, each.opened) for each in evidence.committees
    )
    complaints = tuple(
        f"{key.hex()}: {counts.get(seat, 0)}" for seat, key in enumerate(terms.organisations, 1)
    )
    values: dict[str, Value] = {
        "least_set": terms.least_set,
        "issued": terms.issued,
        "complaints": complaints or "no organisation sits on a committee",
        "integrity": evidence.integrity_proved,
    }
    return OUTLINE.section("aggregation", values, committees)


def _collusion(facts: Facts, manifest: Manifest, evidence: Evidence) -> Section:
    figure = find_collusion(mechanisms_of(manifest), manifest.honest, manifest.delta)
    agrees = facts.controller.same_operator == evidence.shared_operator
    values: dict[str, Value] = {
        "shared_operator": evidence.shared_operator,
        "shared_operator_note": "" if agrees else "the controller's facts say otherwise now",
        "collusion_of": "all steps of the training" if manifest.plan else "this round",
        "collusion_epsilon": _rounded(figure.epsilon),
        "collusion": str(figure),
        "collusion_meaningful": figure.is_meaningful,
    }
    return OUTLINE.section("collusion", values)


def _documents(facts: Facts, logged: RoundFacts, evidence: Evidence) -> Section:
    values: dict[str, Value] = {
        "manifest": logged.digest.hex(),
        "manifest_index": logged.manifest_index,
        "evidence_index": str(logged.evidence_index),
        "log_size": facts.log_size,
        "log_root": facts.log_root,
        "included": evidence.included.hex(),
        "final": evidence.final.hex(),
        "proofs": evidence.proofs.hex(),
        "release": evidence.release.hex(),
    }
    return OUTLINE.section("documents", values)


def _rounded(epsilon: float) -> float | str:
    return round(epsilon, 6) if math.isfinite(epsilon) else "it has nothing to say"
