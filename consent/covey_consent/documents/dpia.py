"""The impact assessment of one purpose, as far as live facts reach: GDPR Art. 35(7), PIPL Art. 56.

It is a skeleton: a judgement stands in it as a blank, and without those filled in it assesses nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime

from covey_consent.documents import receivers, risks
from covey_consent.documents.document import Blank, Document, Section, Table, Value, Words
from covey_consent.documents.facts import Facts, Round
from covey_consent.documents.labels import Labels
from covey_consent.documents.measures import measures
from covey_consent.documents.processing import CASES, cases, load
from covey_consent.policy.purposes import Purpose, find
from covey_consent.storage.models import Assessment
from covey_privacy.evidence import few
from covey_privacy.floors import PRODUCTION
from covey_privacy.registry_messages import Notice

WORDS = Labels("dpia")

ROUND_COLUMNS = WORDS.columns(
    "round_id",
    "clip",
    "sigma",
    "delta",
    "epsilon",
    "plan_epsilon",
    "least_set",
    "honest",
    "gamma",
    "least_issued",
    "least_cell",
    "outcome",
)
RISK_COLUMNS = WORDS.columns("risk", "against", "remains", "likelihood", "severity")
PURSUED = Words("pursued now", "正在开展")
NOT_OPEN = Words("not open yet", "尚未启用")

DIGEST = Words(
    "sha256sum of the finished file, every blank filled in: 64 hex digits. No page can state its own",
    "填写全部空白后，对最终文件执行 sha256sum，得到 64 位十六进制数；文件无法载明自身的摘要",
)

MEASURE_COLUMNS = WORDS.columns("measure", "value", "shown_by")


def dpia(facts: Facts, name: str) -> Document:
    """Return the skeleton for a purpose, also before it opens. Raises as `purposes.find` does."""
    purpose = find(name)
    return Document(
        "dpia",
        Words(f"Impact assessment: {purpose.en}", f"个人信息保护影响评估：{purpose.zh}"),
        "GDPR Art. 35(7); PIPL Art. 55 and 56",
        facts,
        (
            _description(facts, purpose),
            _necessity(purpose),
            *_parameters(facts, purpose),
            _risks(purpose),
            _safeguards(facts),
            _conclusion(),
            _handing_in(facts, purpose),
        ),
    )


def _description(facts: Facts, purpose: Purpose) -> Section:
    processing, counts = load()[purpose.id], facts.counts.get(purpose.id, {})
    triggers = tuple(f"{CASES[case].en} ({CASES[case].zh})" for case in cases(purpose.id, facts.controller))
    return Section(
        Words("1. The processing (GDPR Art. 35(7)(a))", "一、处理活动的描述"),
        facts=(
            WORDS.fact("purpose", f"{purpose.id}: {purpose.en}"),
            WORDS.fact("standing", PURSUED if purpose in facts.purposes else NOT_OPEN),
            WORDS.fact("triggers", triggers or "none"),
            WORDS.fact("subjects", processing.people),
            WORDS.fact("granted", few(counts.get("granted", 0)), "choices that stand"),
            WORDS.fact("data", purpose.data),
            WORDS.fact("where", processing.where),
            WORDS.fact("gates", purpose.gates),
            WORDS.fact("retention", purpose.retention),
            WORDS.fact("recipients", receivers.named(purpose, facts) or "none"),
            WORDS.fact("transfers", receivers.abroad(purpose, facts) or "none"),
            WORDS.fact("notice", _shown(facts.notices.get(purpose.id))),
            WORDS.blank("context"),
        ),
    )


def _shown(notice: Notice | None) -> str:
    if notice is None:
        return "none is in force"
    return f"version {notice.semver}, in {', '.join(text.language for text in notice.texts)}"


def _necessity(purpose: Purpose) -> Section:
    return Section(
        Words(
            "2. Necessity and proportionality (GDPR Art. 35(7)(b); PIPL Art. 56(1))",
            "二、合法性、正当性、必要性",
        ),
        facts=(
            WORDS.fact("basis", f"GDPR Art. {purpose.gdpr}; PIPL Art. {purpose.pipl}"),
            WORDS.fact("default", "off" if purpose.needs_consent else "on: no consent is asked for"),
            WORDS.blank("necessity"),
            WORDS.blank("alternatives"),
            WORDS.blank("views"),
            WORDS.blank("dpo_advice"),
        ),
    )


def _parameters(facts: Facts, purpose: Purpose) -> tuple[Section, ...]:
    """Return the figures that stand: what the notice caps, what phones hold rounds to, what rounds did."""
    notice, rounds = facts.notices.get(purpose.id), facts.rounds_for(purpose.id)
    if notice is None or (not notice.epsilon and not rounds):
        return ()
    caps = (
        WORDS.fact("epsilon_cap", notice.epsilon, "signed notice"),
        WORDS.fact("epsilon_total", notice.epsilon_total, "signed notice"),
        WORDS.fact("delta_cap", notice.delta, "signed notice"),
        WORDS.fact("cohort_floor", PRODUCTION.least_cohort(purpose.id), "enforced by the phone"),
        WORDS.fact("cell_floor", PRODUCTION.least_cell, "enforced by the phone"),
        WORDS.fact("rounds", len(rounds), "transparency log"),
    )
    table = Table(ROUND_COLUMNS, tuple(map(_figures, rounds))) if rounds else None
    return (Section(Words("3. Figures that hold now", "三、现行参数"), facts=caps, table=table),)


def _figures(each: Round) -> tuple[Value, ...]:
    terms = each.manifest
    return (
        terms.round_id,
        terms.norm,
        terms.sigma,
        terms.delta,
        terms.epsilon,
        terms.plan.epsilon if terms.plan else "no training",
        terms.terms.least_set if terms.terms else "earlier version",
        terms.honest,
        terms.gamma,
        terms.least_issued,
        terms.least_cell,
        each.evidence.outcome if each.evidence else "not over",
    )


def _risks(purpose: Purpose) -> Section:
    judged = Blank("low, medium or high"), Blank("low, medium or high")
    rows = tuple(
        (Words(each.risk, each.zh), each.against, each.remains, *judged)
        for each in risks.load()
        if each.is_of(purpose.id)
    )
    own = (Blank("a risk of your own shop"), Blank("what stands against it"), Blank("what remains"), *judged)
    return Section(
        Words("4. Risks to people (GDPR Art. 35(7)(c); PIPL Art. 56(2))", "四、对个人权益的影响及安全风险"),
        table=Table(RISK_COLUMNS, (*rows, own)),
    )


def _safeguards(facts: Facts) -> Section:
    rows = tuple((each.measure, each.value, each.shown_by) for each in measures(facts))
    return Section(
        Words(
            "5. Safeguards (GDPR Art. 35(7)(d); PIPL Art. 56(3))", "五、保护措施是否合法、有效并与风险相适应"
        ),
        table=Table(MEASURE_COLUMNS, rows),
    )


def _conclusion() -> Section:
    return Section(
        Words("6. Conclusion", "六、结论"),
        facts=(
            WORDS.blank("residual"),
            WORDS.blank("consultation"),
            WORDS.blank("decision"),
            WORDS.blank("author"),
            WORDS.blank("approver"),
            WORDS.blank("review"),
            WORDS.fact("kept", "three years at least (PIPL Art. 56)"),
        ),
    )


def _handing_in(facts: Facts, purpose: Purpose) -> Section:
    """Return how the finished file is handed in, and which were."""
    brought = tuple(_brought(each) for each in facts.assessments if each.purpose == purpose.id)
    body = f'{{"purpose": "{purpose.id}", "kind": "dpia", "document_sha256": "", "valid_until": 0}}'
    return Section(
        Words("7. Handing it in", "七、提交"),
        facts=(
            WORDS.fact("digest", DIGEST),
            WORDS.fact(
                "hand_in",
                f"POST /v1/assessments {body}",
                "by an officer, with the digest and a time in Unix seconds; kind pipia where PIPL alone asks",
            ),
            WORDS.fact(
                "approve",
                "POST /v1/assessments/{id}/approval",
                "by another officer or an admin, with If-Match as read",
            ),
            WORDS.fact("brought", brought or "none"),
        ),
    )


def _brought(each: Assessment) -> str:
    approved = f"approved by {each.approved_by}" if each.approved_by else "not approved yet"
    until = datetime.fromtimestamp(each.valid_until, UTC).date()
    return f"{each.document.hex()}: {each.kind} by {each.author}, {approved}, until {until}"
