"""The parties of a receipt: who answers, who receives, and what the person may ask of them."""

from __future__ import annotations

from collections.abc import Iterator

from covey_consent.decisions.consent_event import Record
from covey_consent.policy.controller import Contact, Controller
from covey_consent.policy.purposes import Purpose
from covey_consent.receipts import labels
from covey_consent.receipts.schema_27560 import Office, Party, Recipient, Right, Withdrawal

RIGHTS = {
    "A7-3": "pipl:A15", "A15": "pipl:A45", "A16": "pipl:A46", "A17": "pipl:A47", "A18": "pipl:A44",
    "A20": "pipl:A45", "A21": "pipl:A44", "A22": "pipl:A24", "A77": "pipl:A65",
}  # fmt: skip
"""The GDPR's rights, each with the PIPL's article that gives the like."""

_ROLES = {
    "processor": "dpv:DataProcessor",
    "controller": "dpv:DataController",
    "joint controller": "dpv:JointDataControllers",
}


def controllers(controller: Controller) -> Iterator[Party]:
    """Yield the controller and those that act jointly with it."""
    contact = [
        f"mailto:{controller.email}",
        controller.url,
        *([controller.phone] if controller.phone else []),
    ]
    yield Party(
        type=("dpv:DataController", "dpv:LegalEntity"),
        identifier=controller.url,
        has_name=controller.name,
        has_address=controller.address,
        has_contact=tuple(contact),
    )
    for joint in controller.joint:
        yield Party(
            type=("dpv:JointDataControllers", "dpv:LegalEntity"),
            identifier=f"mailto:{joint.email}",
            has_name=joint.name,
            has_address=joint.address or controller.address,
            has_contact=(f"mailto:{joint.email}",),
        )


def officer(officer: Contact) -> Office:
    """Return the data protection officer."""
    contact = (f"mailto:{officer.email}",)
    return Office(type="dpv:DataProtectionOfficer", has_name=officer.name, has_contact=contact)


def withdrawal(record: Record, controller: Controller) -> Withdrawal:
    """Return how consent is withdrawn."""
    said = labels.of(record.language)["withdraw"]
    return Withdrawal(is_exercised_at=controller.withdrawal_url, description=said)


def rights(record: Record, purpose: Purpose | None, controller: Controller) -> Iterator[Right]:
    """Yield the person's rights, in the words of the record's language; None is every purpose."""
    titles = labels.of(record.language)["rights"]
    for gdpr, pipl in RIGHTS.items():
        if gdpr == "A7-3" and not (purpose and purpose.needs_consent):
            continue
        at = controller.withdrawal_url if gdpr == "A7-3" else controller.rights_url
        kinds = ("dpv:DataSubjectRight", f"eu-gdpr:{gdpr}", pipl)
        yield Right(type=kinds, title=titles[gdpr], is_exercised_at=at)  # type: ignore[arg-type]


def recipients(purpose: Purpose, controller: Controller, language: str) -> Iterator[Recipient]:
    """Yield who receives the purpose's data: nobody but the person where they stay on the phone."""
    if purpose.storage == "phone":
        yield Recipient(type=("dpv:Recipient", "dpv:DataSubject"), has_name=labels.of(language)["phone"])
    else:
        country = f"loc:{controller.country}"
        yield Recipient(
            type=("dpv:Recipient", "dpv:DataController"), has_name=controller.name, has_country=country
        )
    for one in controller.recipients:
        if purpose.id in one.purposes:
            yield Recipient(
                type=("dpv:Recipient", _ROLES[one.role]),
                has_name=one.name,
                has_country=f"loc:{one.country}",
                description=one.safeguard,
            )
