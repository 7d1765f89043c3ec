"""The parties of a receipt: controllers, recipients, and the rights that the person has against them."""

from __future__ import annotations

from covey_consent.decisions.records import Record
from covey_consent.policy.controller import Contact, Controller
from covey_consent.policy.purposes import Purpose
from covey_consent.receipts.labels import labels_in
from covey_consent.receipts.schema_27560 import Office, Party, ReceiptRecipient, Right

RIGHTS = {
    "A7-3": "pipl:A15", "A15": "pipl:A45", "A16": "pipl:A46", "A17": "pipl:A47", "A18": "pipl:A44",
    "A20": "pipl:A45", "A21": "pipl:A44", "A22": "pipl:A24", "A77": "pipl:A65",
}  # fmt: skip
"""The rights of the GDPR, each with the corresponding article of the PIPL."""

_ROLES = {
    "processor": "dpv:DataProcessor",
    "controller": "dpv:DataController",
    "joint controller": "dpv:JointDataControllers",
}


def controllers(controller: Controller) -> tuple[Party, ...]:
    """Return the controller and those that act jointly with it."""
    contact = [f"mailto:{controller.email}", controller.url, controller.phone]
    first = Party(
        type=("dpv:DataController", "dpv:LegalEntity"),
        identifier=controller.url,
        has_name=controller.name,
        has_address=controller.address,
        has_contact=tuple(one for one in contact if one),
    )
    joint = (
        Party(
            type=("dpv:JointDataControllers", "dpv:LegalEntity"),
            identifier=f"mailto:{one.email}",
            has_name=one.name,
            has_address=one.address or controller.address,
            has_contact=(f"mailto:{one.email}",),
        )
        for one in controller.joint
    )
    return (first, *joint)


def officer(officer: Contact) -> Office:
    """Return the data protection officer."""
    contact = (f"mailto:{officer.email}",)
    return Office(type="dpv:DataProtectionOfficer", has_name=officer.name, has_contact=contact)


def rights(record: Record, purpose: Purpose | None, controller: Controller) -> tuple[Right, ...]:
    """Return the person's rights, in the words of the record's language; None is every purpose."""
    titles = labels_in(record.language)["rights"]
    can_withdraw = purpose is not None and purpose.needs_consent
    return tuple(
        Right(
            type=("dpv:DataSubjectRight", f"eu-gdpr:{gdpr}", pipl),
            title=titles[gdpr],
            is_exercised_at=controller.withdrawal_url if gdpr == "A7-3" else controller.rights_url,
        )
        for gdpr, pipl in RIGHTS.items()
        if gdpr != "A7-3" or can_withdraw
    )


def recipients(purpose: Purpose, controller: Controller, language: str) -> tuple[ReceiptRecipient, ...]:
    """Return the recipients of the purpose's data: the person alone where the data stay on the phone."""
    first = ReceiptRecipient(
        type=("dpv:Recipient", "dpv:DataController"),
        has_name=controller.name,
        has_country=f"loc:{controller.country}",
    )
    if purpose.storage == "phone":
        phone = labels_in(language)["phone"]
        first = ReceiptRecipient(type=("dpv:Recipient", "dpv:DataSubject"), has_name=phone)
    others = (
        ReceiptRecipient(
            type=("dpv:Recipient", _ROLES[one.role]),
            has_name=one.name,
            has_country=f"loc:{one.country}",
            description=one.safeguard,
        )
        for one in controller.recipients
        if purpose.id in one.purposes
    )
    return (first, *others)
