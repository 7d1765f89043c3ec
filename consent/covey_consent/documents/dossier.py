"""The anonymity dossier of one round, in the order of EDPB Opinion 28/2024.

It documents; whether a released sum or model is anonymous is judged case by case, and not by this document.
"""

from __future__ import annotations

import math

from covey_consent.documents.collusion import collusion, mechanisms, odds
from covey_consent.documents.document import Document, Section, Table, Value, Words
from covey_consent.documents.facts import Facts, Round
from covey_consent.documents.labels import Labels
from covey_consent.errors import ConflictError
from covey_consent.policy.purposes import find
from covey_privacy.dp import account
from covey_privacy.evidence import Evidence
from covey_privacy.manifest import Manifest
from covey_privacy.secagg.terms import Kind, RoundTerms

WORDS = Labels("dossier")

KINDS = {
    Kind.STANDING: Words("organisations", "机构"),
    Kind.DRAWN: Words("phones drawn by lot", "抽签选出的手机"),
}

UNIT = "one person: all of their answers in the round against zeros in their place"


def dossier(facts: Facts, round_id: str) -> Document:
    """Return the round's dossier. Raises UnknownError, or ConflictError while the round has no evidence."""
    found = facts.round(round_id)
    if found.evidence is None and found.evidence_index is not None:
        raise ConflictError(
            f"the evidence of round {round_id!r} was logged by an earlier version of Covey: make its dossier "
            "with that one"
        )
    if found.evidence is None:
        raise ConflictError(
            f"round {round_id!r} has no logged evidence yet, so nobody can say what it released; make the "
            "dossier when the round is over"
        )
    terms, evidence = found.manifest, found.evidence
    return Document(
        "dossier",
        Words(f"Anonymity dossier: round {round_id}", f"匿名性档案：轮次 {round_id}"),
        "GDPR Art. 5(2), in the order of EDPB Opinion 28/2024; PIPL Art. 47 and 73(4)",
        facts,
        (
            _release(found, evidence),
            _design(terms),
            _guarantee(terms, evidence),
            _aggregation(terms, evidence),
            _collusion(facts, terms, evidence),
            _tests(evidence),
            _documents(facts, found, evidence),
        ),
    )


def _release(found: Round, evidence: Evidence) -> Section:
    terms = found.manifest
    return Section(
        Words("1. What was released", "一、公布的内容"),
        facts=(
            WORDS.fact("query", evidence.query),
            WORDS.fact("purposes", evidence.purposes),
            WORDS.fact("outcome", evidence.outcome),
            WORDS.fact("training", _place(terms)),
            WORDS.fact("cohort", evidence.cohort, "rounded down to tens in the log"),
            WORDS.fact("excluded", evidence.excluded, "rounded down to tens in the log"),
            WORDS.fact("denials", evidence.denials),
            WORDS.fact(
                "profile",
                evidence.profile,
                "floors for trying things out, not for production" if evidence.profile == "test" else "",
            ),
            WORDS.fact("model", evidence.model.hex(), "SHA-256"),
            WORDS.fact("code", f"Covey {evidence.code_version}"),
        ),
    )


def _design(terms: Manifest) -> Section:
    data = tuple(f"{name}: {', '.join(find(name).data)}" for name in terms.purposes)
    return Section(
        Words("2. Design: sources, minimisation, method", "二、设计：来源、最小化与方法"),
        facts=(
            WORDS.fact("sources", data, "on people's own phones; none is collected"),
            WORDS.fact("clip", terms.norm),
            WORDS.fact("length", terms.length),
            WORDS.fact("sigma", terms.sigma, "in the vector's units"),
            WORDS.fact("honest", terms.honest),
            WORDS.fact("most", terms.require_terms().most),
            WORDS.fact("gamma", terms.gamma),
            WORDS.fact("least_issued", terms.least_issued),
            WORDS.fact("least_cell", terms.least_cell),
        ),
    )


def _guarantee(terms: Manifest, evidence: Evidence) -> Section:
    again = account([terms.as_step.mechanism], terms.delta)
    return Section(
        Words("3. The guarantee: differential privacy", "三、保证：差分隐私"),
        facts=(
            WORDS.fact("unit", UNIT),
            WORDS.fact("epsilon", evidence.epsilon, "logged evidence"),
            WORDS.fact("delta", evidence.delta, "logged evidence"),
            WORDS.fact(
                "plan_epsilon", terms.plan.epsilon if terms.plan else "the round is no training's step"
            ),
            WORDS.fact("epsilon_so_far", evidence.epsilon_so_far, "logged evidence"),
            WORDS.fact("rdp", _rounded(again.rdp)),
            WORDS.fact("gaussian", _rounded(again.gaussian)),
            WORDS.fact(
                "accountant",
                "the lesser of two upper bounds on the Skellam mechanism; nothing is credited for sampling",
            ),
            WORDS.fact("holds", again.epsilon <= evidence.epsilon * (1 + 1e-6)),
            WORDS.fact("odds", round(odds(evidence.epsilon, evidence.delta), 4), "0.5 is a guess"),
        ),
    )


def _aggregation(terms: Manifest, evidence: Evidence) -> Section:
    stated = terms.terms
    complaints = _complaints(stated, evidence) if stated else ()
    return Section(
        Words("4. Secure aggregation: who could open the sum", "四、安全聚合：谁能打开合计"),
        facts=(
            WORDS.fact("least_set", stated.least_set if stated else "no terms"),
            WORDS.fact("issued", stated.issued if stated else "no terms"),
            WORDS.fact("complaints", complaints or "no organisation sits on a committee"),
            WORDS.fact(
                "integrity",
                evidence.integrity_proved,
                "proved: a false sum would have needed more corrupt decryptors than the manifest allows for",
            ),
        ),
        table=Table(WORDS.columns("kind", "members", "needed", "opened"), _committees(evidence)),
    )


def _committees(evidence: Evidence) -> tuple[tuple[Value, ...], ...]:
    return tuple(
        (KINDS[Kind(each.kind)], each.members, each.threshold, each.opened) for each in evidence.committees
    )


def _complaints(terms: RoundTerms, evidence: Evidence) -> tuple[str, ...]:
    """Return how many members of the included set each organisation complained of."""
    counts = {each.decryptor: each.members for each in evidence.complaints}
    return tuple(f"{key.hex()}: {counts.get(seat, 0)}" for seat, key in enumerate(terms.organisations, 1))


def _collusion(facts: Facts, terms: Manifest, evidence: Evidence) -> Section:
    given = mechanisms(terms)
    figure = collusion(given, terms.honest, terms.delta)
    configured = facts.controller.same_operator
    disagrees = "" if configured == evidence.shared_operator else "the controller's facts say otherwise now"
    whole = "all steps of the training" if terms.plan else "this round"
    return Section(
        Words("5. If registry and coordinator work together", "五、登记方与协调方串通时"),
        text=(
            "The guarantee above holds as long as the registry and the coordinator do not work together. If "
            "they do, they can surround a person with phones of their own and take out what those added; "
            "then only the person's own share of the noise counts, sigma^2 / n_h. Where phones drawn by lot "
            "are the only committee, they can instead fill it with phones of their own and open each vector.",
        ),
        facts=(
            WORDS.fact("shared_operator", evidence.shared_operator, disagrees),
            WORDS.fact("collusion_of", whole),
            WORDS.fact(
                "collusion_epsilon",
                _rounded(figure.epsilon),
                "at the same delta, from the person's own noise alone",
            ),
            WORDS.fact("collusion", str(figure)),
            WORDS.fact(
                "collusion_meaningful",
                figure.is_meaningful,
                "called so while nobody can be right 999 times in 1,000",
            ),
        ),
    )


def _tests(evidence: Evidence) -> Section:
    return Section(
        Words("6. Tests: resistance to extraction and inference", "六、测试：抗提取与抗推断"),
        facts=(
            WORDS.blank("audit", f"docs/auditing.md; of Covey {evidence.code_version}"),
            WORDS.blank("membership"),
            WORDS.blank("extraction"),
        ),
    )


def _documents(facts: Facts, found: Round, evidence: Evidence) -> Section:
    return Section(
        Words("7. Documents", "七、文件"),
        facts=(
            WORDS.fact("manifest", found.digest.hex(), f"log entry {found.manifest_index}"),
            WORDS.fact(
                "evidence", f"log entry {found.evidence_index}", f"of {facts.log_size}, root {facts.log_root}"
            ),
            WORDS.fact("included", evidence.included.hex()),
            WORDS.fact("final", evidence.final.hex()),
            WORDS.fact("proofs", evidence.proofs.hex(), "SHA-256"),
            WORDS.fact("release", evidence.release.hex(), "SHA-256"),
            WORDS.blank("assessment"),
            WORDS.blank("judgement"),
        ),
    )


def _place(terms: Manifest) -> str:
    if terms.plan is None:
        return "none: a count"
    return f"step {terms.step + 1} of {len(terms.plan.steps)}"


def _rounded(epsilon: float) -> float | str:
    return round(epsilon, 6) if math.isfinite(epsilon) else "it has nothing to say"
