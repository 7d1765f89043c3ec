"""The Kantara Initiative's Consent Receipt 1.1.0 (2018): for readers that know only that."""

from __future__ import annotations

from typing import Any

from covey_consent.decisions.consent_event import Record
from covey_consent.errors import ConflictError
from covey_consent.policy import purposes
from covey_consent.policy.controller import Controller
from covey_consent.policy.purposes import Purpose
from covey_consent.receipts.content import Case
from covey_consent.receipts.event import VALID

PROFILE = "kantara-1.1"
VERSION = "KI-CR-v1.1.0"


def receipt(identifier: str, case: Case, controller: Controller, key: bytes) -> dict[str, Any]:
    """Return the receipt of a consent that was given; `key` is the registry's public key.

    Raises ConflictError for any other event: the format has no word for it.
    """
    record = case.record
    if record.state not in VALID:
        raise ConflictError(
            f"a Kantara receipt is of a consent given; event {record.event} says {record.state}"
        )
    purpose = purposes.find(record.purpose)
    special = list(purpose.personal_data) if "eu-gdpr:A9-2-a" in purpose.legal_basis else []
    return {
        "version": VERSION,
        "jurisdiction": controller.country,
        "consentTimestamp": record.at // 1000,
        "collectionMethod": _method(record),
        "consentReceiptID": identifier,
        "publicKey": key.hex(),
        "language": record.language,
        "piiPrincipalId": record.subject,
        "piiControllers": [_controller(controller)],
        "policyUrl": controller.rights_url,
        "services": [{"service": controller.name, "purposes": [_purpose(purpose, controller)]}],
        "sensitive": bool(special),
        "spiCat": special,
    }


def _method(record: Record) -> str:
    # The format has no field for it, and its readers take no other.
    return f"{record.method}, imported from registry {record.source}" if record.source else record.method


def _controller(controller: Controller) -> dict[str, Any]:
    contact = controller.dpo.name if controller.dpo else controller.name
    return {
        "piiController": controller.name,
        "onBehalf": False,
        "contact": contact,
        "address": {"streetAddress": controller.address, "addressCountry": controller.country},
        "email": controller.email,
        "phone": controller.phone or "",
        "piiControllerUrl": controller.url,
    }


def _purpose(purpose: Purpose, controller: Controller) -> dict[str, Any]:
    third = [
        one.name for one in controller.recipients if purpose.id in one.purposes and one.role != "processor"
    ]
    return {
        "purpose": purpose.en,
        "purposeCategory": list(purpose.dpv),
        "consentType": "EXPLICIT",
        "piiCategory": list(purpose.personal_data),
        "primaryPurpose": purpose.basis == "contract",
        "termination": f"{purpose.retention}; {controller.withdrawal_url}",
        "thirdPartyDisclosure": bool(third),
        **({"thirdPartyName": ", ".join(third)} if third else {}),
    }
