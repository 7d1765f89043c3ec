"""What a receipt says, from what happened: the record, the notice shown, its purpose, the controller."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from string import Template
from typing import Any

from covey_consent.decisions.consent_event import EVERYTHING, Record
from covey_consent.errors import DamageError
from covey_consent.policy import purposes
from covey_consent.policy.controller import Controller
from covey_consent.policy.purposes import Purpose
from covey_consent.receipts import labels, parties
from covey_consent.receipts.event import VALID, event
from covey_consent.receipts.evidence import Promised, Published
from covey_consent.receipts.schema_27560 import (
    ConsentRecord,
    Duration,
    Notice,
    Office,
    PersonalData,
    PrivacyBudget,
    Process,
    Receipt,
    RightRecord,
    StorageDuration,
    StorageLocation,
    Subject,
    conformity,
)
from covey_consent.receipts.timestamps import time
from covey_privacy import registry_messages
from covey_privacy.registry_messages import NoticeText

_MEASURES = ("dpv:DifferentialPrivacy", "dpv:SecureMultiPartyComputation")


@dataclass(frozen=True, slots=True)
class Case:
    """An event with the notice that was shown, where there was one, and the evidence in the log."""

    notice: registry_messages.Notice | None
    evidence: Published | Promised

    @property
    def record(self) -> Record:
        """What happened."""
        return self.evidence.record


def receipt(identifier: str, created: int, cases: Sequence[Case], controller: Controller) -> Receipt:
    """Return the receipt over these cases; `identifier` is a UUID, `created` Unix milliseconds.

    Raises DamageError when a yes was not said to the notice's text, UnknownError for an unknown purpose.
    """
    records = tuple(_record(case, controller) for case in cases)
    return Receipt(
        id=f"urn:uuid:{identifier}",
        identifier=identifier,
        created=time(created),
        publisher=controller.name,
        conforms_to=conformity(records),
        has_record_of_activity=records,
    )


def consent_record(case: Case, notice: registry_messages.Notice, controller: Controller) -> ConsentRecord:
    """Return one case as a consent record."""
    record, purpose = case.record, purposes.find(case.record.purpose)
    return ConsentRecord(
        has_notice=(_notice(record, notice),),
        has_process=(_process(record, purpose, notice, controller),),
        has_consent_control=(parties.withdrawal(record, controller),),
        **_common(case, purpose, controller),
    )


def right_record(case: Case, controller: Controller) -> RightRecord:
    """Return a case without a notice as the record of a right that was exercised.

    Raises DamageError for a yes: it is said to a text alone.
    """
    record = case.record
    if record.state in VALID:
        raise DamageError(f"event {record.event} agrees to a notice that is not kept")
    purpose = None if record.purpose == EVERYTHING else purposes.find(record.purpose)
    said = labels.of(record.language)
    return RightRecord(
        title=said["everything"] if purpose is None else _title(record, purpose),
        description=said["no_notice"],
        has_process=None if purpose is None else (_process(record, purpose, None, controller),),
        **_common(case, purpose, controller),
    )


def _record(case: Case, controller: Controller) -> ConsentRecord | RightRecord:
    if case.notice is None:
        return right_record(case, controller)
    return consent_record(case, case.notice, controller)


def _common(case: Case, purpose: Purpose | None, controller: Controller) -> dict[str, Any]:
    """Return what every record says: whose it is, who answers, what happened, and what shows that."""
    record, officer = case.record, controller.dpo
    basis = () if purpose is None else purpose.legal_basis
    return {
        "id": f"urn:uuid:{record.event}",
        "identifier": record.event,
        "has_data_subject": Subject(identifier=record.subject),
        "has_data_controller": tuple(parties.controllers(controller)),
        "has_data_protection_officer": None if officer is None else parties.officer(officer),
        "has_jurisdiction": (f"loc:{controller.country}",),
        "has_right": tuple(parties.rights(record, purpose, controller)),
        "has_authority": (Office(type="dpv:DataProtectionAuthority", has_name=controller.authority),),
        "has_consent_status": (event(record, basis, _until(record)),),
        "evidence": case.evidence,
    }


def shown(record: Record, notice: registry_messages.Notice) -> NoticeText:
    """Return the text that the record names, for a no also another of the notice's. Raises DamageError."""
    for text in notice.texts:
        if text.digest.hex() == record.text:
            return text
    if record.state in VALID:
        raise DamageError(f"event {record.event} agrees to a text that is not in the notice kept for it")
    return notice.text(record.language)


def _notice(record: Record, notice: registry_messages.Notice) -> Notice:
    text = shown(record, notice)
    return Notice(
        identifier=notice.purpose,
        version=notice.semver,
        language=text.language,
        title=text.title,
        description=text.text,
        sha256=text.digest.hex(),
    )


def _until(record: Record) -> str:
    said: str = labels.of(record.language)["until" if record.state in VALID else "until_anew"]
    return said


def _is_chinese(record: Record) -> bool:
    return labels.language(record.language) == "zh"


def _title(record: Record, purpose: Purpose) -> str:
    return purpose.zh if _is_chinese(record) else purpose.en


def _process(
    record: Record, purpose: Purpose, notice: registry_messages.Notice | None, controller: Controller
) -> Process:
    chinese, private = _is_chinese(record), notice if notice and notice.epsilon else None
    necessity = "dpv:Optional" if purpose.needs_consent else "dpv:Required"
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
        has_storage_condition=_storage(purpose, controller, chinese),
        has_recipient=tuple(parties.recipients(purpose, controller, record.language)),
        has_technical_measure=_MEASURES if private else None,
        privacy_budget=_budget(private, controller, record.language) if private else None,
    )


def _storage(
    purpose: Purpose, controller: Controller, chinese: bool
) -> tuple[StorageLocation, StorageDuration]:
    phone = ("dpv:WithinDevice",) if purpose.storage in ("phone", "sum") else ()
    servers = () if purpose.storage == "phone" else controller.storage_countries
    retention = purpose.retention_zh if chinese else purpose.retention
    return (
        StorageLocation(has_location=(*phone, *(f"loc:{country}" for country in servers))),
        StorageDuration(has_duration=Duration(type="dpv:UntilEventDuration", value=retention)),
    )


def _budget(notice: registry_messages.Notice, controller: Controller, language: str) -> PrivacyBudget:
    said = labels.of(language)
    caps = {
        "epsilon": f"{notice.epsilon:g}",
        "total": f"{notice.epsilon_total:g}",
        "delta": f"{notice.delta:g}",
    }
    sentences = [Template(said["budget"]).substitute(caps)]
    if controller.same_operator:
        sentences.append(said["same_operator"])
    return PrivacyBudget(
        epsilon=notice.epsilon,
        epsilon_total=notice.epsilon_total,
        delta=notice.delta,
        description=" ".join(sentences),
    )
