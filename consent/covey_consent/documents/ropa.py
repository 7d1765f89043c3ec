"""The record of processing activities: GDPR Art. 30(1)(a) to (g) for each purpose, 30(2) for processors."""

from __future__ import annotations

from collections.abc import Mapping

from covey_consent.documents import receivers
from covey_consent.documents.document import Document, Fact, Section, Words
from covey_consent.documents.facts import Facts
from covey_consent.documents.labels import Labels
from covey_consent.documents.processing import CASES, cases, load
from covey_consent.errors import ConflictError
from covey_consent.policy import transfers
from covey_consent.policy.controller import Contact, Controller, Recipient
from covey_consent.policy.purposes import Purpose
from covey_consent.policy.transfers import is_abroad, stored_abroad
from covey_privacy.evidence import few

WORDS = Labels("ropa")

MEASURES = (
    "data stay on phones; sums are masked and noised; people are random pseudonyms; an append-only log",
    "in full: covey registry document toms",
)

NO_REPRESENTATIVE = "none named; a controller outside the Union needs one (Art. 27)"


def ropa(facts: Facts) -> Document:
    """Return the record. Raises ConflictError naming every fact that is missing."""
    _require(facts)
    return Document(
        "ropa",
        Words("Record of processing activities", "个人信息处理活动记录"),
        "GDPR Art. 30 and 5(2); PIPL Art. 38, 55 and 56",
        facts,
        (
            Section(Words("Who answers for it", "责任主体"), facts=_parties(facts.controller), common=True),
            *(_activity(facts, purpose) for purpose in facts.purposes),
            *(_processor(facts, each) for each in facts.controller.recipients if each.role == "processor"),
        ),
    )


def missing(controller: Controller, *, from_china: bool = False) -> tuple[str, ...]:
    """Return the fields without which Art. 30 has a gap, each with its letter.

    Where people's data may be taken out of China, every recipient outside it needs a route (PIPL Art. 38).
    """
    found = []
    if controller.dpo is None:
        found.append("dpo: Art. 30(1)(a)")
    if not controller.storage_countries:
        found.append("storage_countries: Art. 30(1)(e)")
    unnamed = set(stored_abroad("", controller)) - {each.country for each in controller.recipients}
    found += [f"recipients (who stores in {each}, with its safeguard): Art. 30(1)(e)" for each in unnamed]
    for number, each in enumerate(controller.recipients):
        leaves_china = from_china and each.country not in transfers.ASKING
        if each.safeguard is None and is_abroad(each.country, controller.country):
            found.append(f"recipients[{number}].safeguard: Art. 30(1)(e)")
        elif each.safeguard is None and leaves_china:
            found.append(f"recipients[{number}].safeguard: PIPL Art. 38")
        if each.role == "processor" and each.email is None:
            found.append(f"recipients[{number}].email: Art. 30(2)(a)")
    return tuple(found)


def _require(facts: Facts) -> None:
    gaps = missing(facts.controller, from_china=transfers.CONSENT in facts.notices)
    if gaps:
        raise ConflictError(
            f"the record of processing lacks {'; '.join(gaps)}; add it to the controller's TOML file, which "
            "COVEY_REGISTRY_CONTROLLER names"
        )


def _activity(facts: Facts, purpose: Purpose) -> Section:
    processing, controller = load()[purpose.id], facts.controller
    counts = facts.counts.get(purpose.id, {})
    return Section(
        Words(purpose.en, purpose.zh),
        facts=(
            WORDS.fact("purpose_id", purpose.id),
            WORDS.fact("purpose", purpose.en),
            WORDS.fact("basis", f"GDPR Art. {purpose.gdpr}; PIPL Art. {purpose.pipl}"),
            WORDS.fact("subjects", processing.people),
            WORDS.fact("standing", _standing(counts), "counted in the registry"),
            WORDS.fact("data", purpose.data),
            WORDS.fact("where", processing.where),
            WORDS.fact("recipients", receivers.named(purpose, facts) or "none"),
            WORDS.fact("recipients_differ", receivers.differences(purpose, facts)),
            WORDS.fact("transfers", _transfers(purpose, facts)),
            WORDS.fact("retention", purpose.retention),
            WORDS.fact("measures", MEASURES),
            WORDS.fact("pipl_55", _cases(purpose.id, controller)),
            WORDS.fact("pipl_56", _kept(purpose.id, controller)),
        ),
        record=True,
    )


def _parties(controller: Controller) -> tuple[Fact, ...]:
    acting, dpo = controller.representative, controller.dpo
    return (
        WORDS.fact(
            "controller", f"{controller.name}, {controller.address}, {controller.country}, {controller.email}"
        ),
        WORDS.fact("joint_controllers", _joint(controller) or "none"),
        WORDS.fact("representative", _contact(acting) if acting else NO_REPRESENTATIVE),
        WORDS.fact("dpo", _contact(dpo) if dpo else "none"),
    )


def _joint(controller: Controller) -> tuple[str, ...]:
    """Return who decides together with the controller, those among the recipients too."""
    named = {each.name for each in controller.joint}
    received = (each for each in controller.recipients if each.role == "joint controller")
    others = (each for each in received if each.name not in named)
    return (
        *map(_contact, controller.joint),
        *(", ".join(filter(None, (each.name, each.contact or each.email))) for each in others),
    )


def _officer(controller: Controller) -> tuple[str, ...]:
    return (f"data protection officer: {_contact(controller.dpo)}",) if controller.dpo else ()


def _contact(contact: Contact) -> str:
    return ", ".join(filter(None, (contact.name, contact.email, contact.address)))


def _standing(counts: Mapping[str, int]) -> tuple[str, ...] | str:
    return tuple(f"{state}: {few(count)}" for state, count in sorted(counts.items())) or "none yet"


def _transfers(purpose: Purpose, facts: Facts) -> tuple[str, ...] | str:
    controller, sent = facts.controller, receivers.abroad(purpose, facts)
    stored = f"what the registry keeps is stored in {', '.join(controller.storage_countries)}"
    return (*sent, stored) if sent or stored_abroad(purpose.id, controller) else f"none; {stored}"


def _cases(purpose: str, controller: Controller) -> tuple[str, ...] | str:
    return tuple(f"{CASES[case].en} ({CASES[case].zh})" for case in cases(purpose, controller)) or "none"


def _kept(purpose: str, controller: Controller) -> str:
    if not cases(purpose, controller):
        return "no impact assessment is asked for"
    return "the impact assessment and this record for three years at least"


def _processor(facts: Facts, each: Recipient) -> Section:
    """Return what Art. 30(2) asks of a processor, for the controller that it acts for."""
    controller = facts.controller
    abroad = is_abroad(each.country, controller.country)
    return Section(
        Words(f"Processor: {each.name} (Art. 30(2))", f"受托人：{each.name}（第30条第2款）"),
        facts=(
            WORDS.fact("processor", f"{each.name}, {each.country}, {each.email}"),
            WORDS.fact("on_behalf_of", (f"{controller.name}, {controller.email}", *_officer(controller))),
            WORDS.fact("categories", each.purposes),
            WORDS.fact("processor_transfers", f"{each.country}: {each.safeguard}" if abroad else "none"),
            WORDS.fact("processor_measures", "those of its contract (Art. 28(3)(c))"),
        ),
    )
