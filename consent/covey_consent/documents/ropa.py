"""The record of processing activities: GDPR Art. 30(1)(a) to (g) for each purpose, 30(2) for processors."""

from __future__ import annotations

from covey_consent.documents.document import Document, Section
from covey_consent.documents.facts import Facts
from covey_consent.documents.outline import Outline
from covey_consent.documents.processing import describe, find_differences, find_transfers
from covey_consent.errors import ConflictError
from covey_consent.policy import transfers
from covey_consent.policy.controller import Contact, Controller, StatedRecipient
from covey_consent.policy.purposes import Purpose
from covey_consent.policy.transfers import is_abroad, stored_abroad
from covey_privacy.evidence import few

OUTLINE = Outline("ropa")


def ropa(facts: Facts) -> Document:
    """Return the record. Raises ConflictError naming every fact that is missing."""
    controller = facts.controller
    gaps = find_missing(controller, from_china=transfers.CONSENT in facts.notices)
    if gaps:
        raise ConflictError(
            f"the record of processing lacks {'; '.join(gaps)}; add it to the controller's TOML file, which "
            "COVEY_REGISTRY_CONTROLLER names"
        )
    processors = (each for each in controller.recipients if each.role == "processor")
    sections = (
        _parties(controller),
        *(_activity(facts, purpose) for purpose in facts.purposes),
        *(_processor(controller, each) for each in processors),
    )
    return OUTLINE.document(facts, sections)


def find_missing(controller: Controller, *, from_china: bool = False) -> tuple[str, ...]:
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


def _parties(controller: Controller) -> Section:
    """Return who answers for the processing: joint controllers are also those among the recipients."""
    us, acting, dpo = controller, controller.representative, controller.dpo
    named = {each.name for each in us.joint}
    received = (each for each in us.recipients if each.role == "joint controller" and each.name not in named)
    joint = (
        *map(_contact, us.joint),
        *(", ".join(filter(None, (each.name, each.contact or each.email))) for each in received),
    )
    return OUTLINE.section(
        "parties",
        {
            "controller": f"{us.name}, {us.address}, {us.country}, {us.email}",
            "joint_controllers": joint or "none",
            "representative": _contact(acting)
            if acting
            else "none named; a controller outside the Union needs one (Art. 27)",
            "dpo": _contact(dpo) if dpo else "none",
        },
    )


def _activity(facts: Facts, purpose: Purpose) -> Section:
    controller, described = facts.controller, describe(purpose, facts)
    counts = sorted(facts.counts.get(purpose.id, {}).items())
    sent = find_transfers(purpose, facts)
    stored = f"what the registry keeps is stored in {', '.join(controller.storage_countries)}"
    moved = sent or stored_abroad(purpose.id, controller)
    values = {
        **described,
        "purpose": purpose.en,
        "standing": tuple(f"{state}: {few(count)}" for state, count in counts) or "none yet",
        "recipients_differ": find_differences(purpose, facts),
        "transfers": (*sent, stored) if moved else f"none; {stored}",
        "pipl_55": described["cases"],
        "pipl_56": "no impact assessment is asked for"
        if described["cases"] == "none"
        else "the impact assessment and this record for three years at least",
    }
    return OUTLINE.section("activity", values)


def _processor(controller: Controller, processor: StatedRecipient) -> Section:
    """Return what Art. 30(2) asks of a processor, for the controller that it acts for."""
    officer = (f"data protection officer: {_contact(controller.dpo)}",) if controller.dpo else ()
    abroad = is_abroad(processor.country, controller.country)
    return OUTLINE.section(
        "processor",
        {
            "name": processor.name,
            "processor": f"{processor.name}, {processor.country}, {processor.email}",
            "on_behalf_of": (f"{controller.name}, {controller.email}", *officer),
            "categories": processor.purposes,
            "processor_transfers": f"{processor.country}: {processor.safeguard}" if abroad else "none",
        },
    )


def _contact(contact: Contact) -> str:
    return ", ".join(filter(None, (contact.name, contact.email, contact.address)))
