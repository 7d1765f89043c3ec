"""The content of a receipt, as JSON-LD nodes: the record, the notice shown, its purpose, the controller."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from string import Template
from typing import Any

from covey_consent.decisions.consent_event import EVERYTHING
from covey_consent.decisions.records import Record
from covey_consent.errors import DamageError
from covey_consent.policy import purposes
from covey_consent.policy.controller import Controller
from covey_consent.policy.purposes import Purpose
from covey_consent.receipts import parties
from covey_consent.receipts.evidence import InclusionEvidence, PromiseEvidence
from covey_consent.receipts.jsonld import timestamp
from covey_consent.receipts.labels import labels_in, supported_language
from covey_consent.receipts.schema_27560 import (
    ConsentRecord,
    Duration,
    Office,
    PersonalData,
    PrivacyBudget,
    Process,
    Receipt,
    ReceiptEvent,
    ReceiptNotice,
    ReceiptSubject,
    RightRecord,
    StorageDuration,
    StorageLocation,
    Withdrawal,
    conformity,
)
from covey_privacy.registry_messages import Notice

STATUS = {
    "granted": "dpv:ConsentGiven",
    "renewed": "dpv:RenewedConsentGiven",
    "refused": "dpv:ConsentRefused",
    "withdrawn": "dpv:ConsentWithdrawn",
    "expired": "dpv:ConsentExpired",
    "objected": "covey:ProcessingObjected",
    "restricted": "covey:ProcessingRestricted",
    "lifted": "covey:RestrictionLifted",
}
"""State of a record -> the type of its event."""

CONSENTING = ("granted", "renewed")
"""The states that a person is held to: each names the very text that they saw."""

_ACTORS = {"subject": "dpv:DataSubject", "guardian": "dpv:GuardianOfDataSubject"}
_BASES = {"b": "dpv:ContractPerformance", "c": "dpv:LegalObligation"}
_MEASURES = ("dpv:DifferentialPrivacy", "dpv:SecureMultiPartyComputation")


@dataclass(frozen=True, slots=True)
class Case:
    """An event with the notice that was shown, where there was one, and the evidence in the log."""

    notice: Notice | None
    evidence: InclusionEvidence | PromiseEvidence

    @property
    def record(self) -> Record:
        """The record of the event."""
        return self.evidence.record


def make_receipt(identifier: str, created: int, cases: Sequence[Case], controller: Controller) -> Receipt:
    """Return the receipt over these cases; `identifier` is a UUID, `created` Unix milliseconds.

    Raises DamageError when a yes was not said to the notice's text, UnknownError for an unknown purpose.
    """
    records = tuple(_activity(case, controller) for case in cases)
    return Receipt(
        id=f"urn:uuid:{identifier}",
        identifier=identifier,
        created=timestamp(created),
        publisher=controller.name,
        conforms_to=conformity(records),
        has_record_of_activity=records,
    )


def event_node(record: Record, legal_basis: Sequence[str], until: str) -> ReceiptEvent:
    """Return the record's event under these lawful bases; `until` says in words how long it holds."""
    kind = "eu-gdpr:A18" if record.purpose == EVERYTHING else _kind_of_consent(legal_basis)
    duration = Duration(type="dpv:UntilEventDuration", value=until)
    if record.expires:
        duration = Duration(type="dpv:UntilTimeDuration", value=timestamp(record.expires))
    return ReceiptEvent(
        type=STATUS[record.state],
        has_legal_basis=kind,
        is_indicated_by=_ACTORS.get(record.actor, "dpv:DataController"),
        has_indication_method=record.method,
        is_indicated_at_time=timestamp(record.at),
        has_duration=duration,
        imported_from=record.source or None,
    )


def _kind_of_consent(legal_basis: Sequence[str]) -> str:
    """Return the kind of consent, explicit for special categories (GDPR 9(2)(a)), or another basis."""
    if "eu-gdpr:A9-2-a" in legal_basis:
        return "dpv:ExplicitlyExpressedConsent"
    basis = next((basis for basis in legal_basis if basis.startswith("eu-gdpr:A6-1-")), "")
    return _BASES.get(basis[-1:], "dpv:ExpressedConsent")


def _activity(case: Case, controller: Controller) -> ConsentRecord | RightRecord:
    """Return the case as a consent record; without a notice as the record of a right that was exercised.

    Raises DamageError for a yes without a notice, which no person can give.
    """
    record, notice, labels = case.record, case.notice, labels_in(case.record.language)
    purpose = None if record.purpose == EVERYTHING else purposes.find(record.purpose)
    if notice is not None and purpose is not None:
        withdrawal = Withdrawal(is_exercised_at=controller.withdrawal_url, description=labels["withdraw"])
        return ConsentRecord(
            has_notice=(_notice(record, notice),),
            has_process=(_process(record, purpose, notice, controller),),
            has_consent_control=(withdrawal,),
            **_common(case, purpose, controller),
        )
    if record.state in CONSENTING:
        raise DamageError(f"event {record.event} agrees to a notice that is not kept")
    return RightRecord(
        title=labels["everything"] if purpose is None else _title(record, purpose),
        description=labels["no_notice"],
        has_process=None if purpose is None else (_process(record, purpose, None, controller),),
        **_common(case, purpose, controller),
    )


def _common(case: Case, purpose: Purpose | None, controller: Controller) -> dict[str, Any]:
    """Return the fields that both types of record have."""
    record, officer = case.record, controller.dpo
    until = labels_in(record.language)["until" if record.state in CONSENTING else "until_anew"]
    return {
        "id": f"urn:uuid:{record.event}",
        "identifier": record.event,
        "has_data_subject": ReceiptSubject(identifier=record.subject),
        "has_data_controller": parties.controllers(controller),
        "has_data_protection_officer": None if officer is None else parties.officer(officer),
        "has_jurisdiction": (f"loc:{controller.country}",),
        "has_right": parties.rights(record, purpose, controller),
        "has_authority": (Office(type="dpv:DataProtectionAuthority", has_name=controller.authority),),
        "has_consent_status": (event_node(record, purpose.legal_basis if purpose else (), until),),
        "evidence": case.evidence,
    }


def _notice(record: Record, notice: Notice) -> ReceiptNotice:
    """Return the text that the record names, for a no also another of the notice's. Raises DamageError."""
    text = next((text for text in notice.texts if text.digest.hex() == record.text), None)
    if text is None and record.state in CONSENTING:
        raise DamageError(f"event {record.event} agrees to a text that is not in the notice kept for it")
    text = text or notice.text(record.language)
    return ReceiptNotice(
        identifier=notice.purpose,
        version=notice.semver,
        language=text.language,
        title=text.title,
        description=text.text,
        sha256=text.digest.hex(),
    )


def _is_chinese(record: Record) -> bool:
    return supported_language(record.language) == "zh"


def _title(record: Record, purpose: Purpose) -> str:
    return purpose.zh if _is_chinese(record) else purpose.en


def _process(record: Record, purpose: Purpose, notice: Notice | None, controller: Controller) -> Process:
    chinese, private = _is_chinese(record), notice if notice and notice.epsilon else None
    necessity = "dpv:Optional" if purpose.needs_consent else "dpv:Required"
    phone = ("dpv:WithinDevice",) if purpose.storage in ("phone", "sum") else ()
    servers = () if purpose.storage == "phone" else controller.storage_countries
    retention = Duration(
        type="dpv:UntilEventDuration", value=purpose.retention_zh if chinese else purpose.retention
    )
    return Process(
        identifier=purpose.id,
        title=_title(record, purpose),
        has_purpose=purpose.dpv,
        has_legal_basis=purpose.legal_basis,
        has_personal_data=tuple(
            PersonalData(type=("dpv:PersonalData", data), has_necessity=necessity)  # type: ignore[arg-type]
            for data in purpose.personal_data
        ),
        data_in_words=purpose.data_zh if chinese else purpose.data,
        has_storage_condition=(
            StorageLocation(has_location=(*phone, *(f"loc:{country}" for country in servers))),
            StorageDuration(has_duration=retention),
        ),
        has_recipient=parties.recipients(purpose, controller, record.language),
        has_technical_measure=_MEASURES if private else None,
        privacy_budget=_budget(private, controller, record.language) if private else None,
    )


def _budget(notice: Notice, controller: Controller, language: str) -> PrivacyBudget:
    labels = labels_in(language)
    caps = {
        "epsilon": f"{notice.epsilon:g}",
        "total": f"{notice.epsilon_total:g}",
        "delta": f"{notice.delta:g}",
    }
    sentences = [Template(labels["budget"]).substitute(caps)]
    if controller.same_operator:
        sentences.append(labels["same_operator"])
    return PrivacyBudget(
        epsilon=notice.epsilon,
        epsilon_total=notice.epsilon_total,
        delta=notice.delta,
        description=" ".join(sentences),
    )
