"""The shape of a receipt: the fields of ISO/IEC TS 27560 in the terms of the Data Privacy Vocabulary.

`python -m covey_consent.receipts.schema_27560 --write` makes its JSON Schema anew.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from covey_consent.receipts.evidence import InclusionEvidence, PromiseEvidence
from covey_consent.receipts.jsonld import CONTEXT, Context, Hex32, Iri, Node, Some, Text, Time, Uuid, Words

MOST_RECORDS = 64

JSON_SCHEMA = "receipt.schema.json"
SHACL_SHAPES = "receipt.shacl.ttl"
EXAMPLE = "receipt.example.json"
"""The packaged files of the vocabulary folder."""

RecordSchema = Literal["https://w3id.org/dpv/schema/dpv-27560#record-eu-gdpr"]
ReceiptSchema = Literal["https://w3id.org/dpv/schema/dpv-27560#receipt-eu-gdpr"]
OwnSchema = Literal["https://w3id.org/covey/receipt"]

ISO_27560: ReceiptSchema = "https://w3id.org/dpv/schema/dpv-27560#receipt-eu-gdpr"
OWN: OwnSchema = "https://w3id.org/covey/receipt"


class ReceiptSubject(Node):
    """The person, by pseudonym (pii_principal_id)."""

    type: Literal["dpv:Customer"] = "dpv:Customer"
    identifier: Words


class ReceiptNotice(Node):
    """The text that was shown (privacy_notice, language): `identifier` is its purpose."""

    type: Literal["dpv:ConsentNotice"] = "dpv:ConsentNotice"
    identifier: Words
    version: Words
    language: Words
    title: Text
    description: Text
    sha256: Hex32


class PersonalData(Node):
    """A category of personal data (pii_type, pii_optional)."""

    type: tuple[Literal["dpv:PersonalData"], Iri]
    has_necessity: Literal["dpv:Optional", "dpv:Required"]


class StorageLocation(Node):
    """Where data are kept (storage_locations)."""

    type: Literal["dpv:StorageLocation"] = "dpv:StorageLocation"
    has_location: Annotated[tuple[Iri, ...], Some]


class Duration(Node):
    """How long: until a time, or until an event in words."""

    type: Literal["dpv:UntilTimeDuration", "dpv:UntilEventDuration"]
    value: Words


class StorageDuration(Node):
    """How long data are kept (retention_period)."""

    type: Literal["dpv:StorageDuration"] = "dpv:StorageDuration"
    has_duration: Duration


class ReceiptRecipient(Node):
    """A recipient of data (recipient_third_parties); `description` names the safeguard of a transfer."""

    type: tuple[Literal["dpv:Recipient"], Iri]
    has_name: Words
    has_country: Iri | None = None
    description: Words | None = None


class PrivacyBudget(Node):
    """The yearly bound of the person's privacy loss (differential privacy), and its meaning in words."""

    type: Literal["covey:PrivacyBudget"] = "covey:PrivacyBudget"
    epsilon: Annotated[float, Field(ge=0, le=100)]
    epsilon_total: Annotated[float, Field(ge=0, le=100)]
    delta: Annotated[float, Field(gt=0, lt=1)]
    description: Words


class Process(Node):
    """A processing: its data, purpose, storage, recipients and duration."""

    type: Literal["dpv:Process"] = "dpv:Process"
    identifier: Words
    title: Words
    has_purpose: Annotated[tuple[Iri, ...], Some]
    has_legal_basis: Annotated[tuple[Iri, ...], Some]
    has_personal_data: Annotated[tuple[PersonalData, ...], Some]
    data_in_words: Annotated[tuple[Words, ...], Some]
    has_storage_condition: tuple[StorageLocation, StorageDuration]
    has_recipient: Annotated[tuple[ReceiptRecipient, ...], Some]
    has_technical_measure: Annotated[tuple[Iri, ...], Some] | None = None
    privacy_budget: PrivacyBudget | None = None


class Party(Node):
    """A party (party_id, party_name, party_address, party_contact, party_type)."""

    type: tuple[Iri, ...]
    identifier: Words
    has_name: Words
    has_address: Words
    has_contact: Annotated[tuple[Words, ...], Some]


class Office(Node):
    """A data protection officer, or the authority (authority_party)."""

    type: Literal["dpv:DataProtectionOfficer", "dpv:DataProtectionAuthority"]
    has_name: Words
    has_contact: Annotated[tuple[Words, ...], Some] | None = None


class Withdrawal(Node):
    """How to withdraw (withdrawal_method)."""

    type: Literal["dpv:WithdrawConsent"] = "dpv:WithdrawConsent"
    is_exercised_at: Words
    description: Words


class Right(Node):
    """A right of the person (privacy_rights)."""

    type: tuple[Literal["dpv:DataSubjectRight"], Iri, Iri]
    title: Words
    is_exercised_at: Words


class ReceiptEvent(Node):
    """An event, its time, actor and duration (event_time, validity_duration, entity_id, event_state).

    `imported_from` is the public key of the registry from which the event was imported.
    """

    type: Iri
    has_legal_basis: Iri
    is_indicated_by: Iri
    has_indication_method: Words
    is_indicated_at_time: Time
    has_duration: Duration
    imported_from: Hex32 | None = None


class _ActivityRecord(Node):
    """The fields that both types of record have."""

    id: Words
    identifier: Uuid
    has_data_subject: ReceiptSubject
    has_data_controller: Annotated[tuple[Party, ...], Some]
    has_data_protection_officer: Office | None = None
    has_jurisdiction: Annotated[tuple[Iri, ...], Some]
    has_right: Annotated[tuple[Right, ...], Some]
    has_authority: tuple[Office]
    has_consent_status: tuple[ReceiptEvent]
    evidence: InclusionEvidence | PromiseEvidence


class ConsentRecord(_ActivityRecord):
    """A consent event with all that it was about, and its evidence in the log."""

    type: Literal["dpv:ConsentRecord"] = "dpv:ConsentRecord"
    conforms_to: RecordSchema = "https://w3id.org/dpv/schema/dpv-27560#record-eu-gdpr"
    has_notice: tuple[ReceiptNotice]
    has_process: tuple[Process]
    has_consent_control: tuple[Withdrawal]


class RightRecord(_ActivityRecord):
    """An event without a notice: an objection, a restriction, a no to what was never offered.

    `title` is what it is about, `description` why no text is shown. A restriction is of no process alone.
    """

    type: Literal["dpv:RightExerciseRecord"] = "dpv:RightExerciseRecord"
    title: Text
    description: Text
    has_process: tuple[Process] | None = None


Activity = Annotated[ConsentRecord | RightRecord, Field(discriminator="type")]


class Receipt(Node):
    """A receipt: records of events, its publisher and its time.

    It conforms to ISO/IEC TS 27560 where each is a consent record, else to Covey's own schema.
    """

    context: Context = CONTEXT
    id: Words
    type: Literal["dpv:ConsentReceipt"] = "dpv:ConsentReceipt"
    conforms_to: ReceiptSchema | OwnSchema = ISO_27560
    identifier: Uuid
    created: Time
    publisher: Words
    has_record_of_activity: Annotated[tuple[Activity, ...], Field(min_length=1, max_length=MOST_RECORDS)]

    @model_validator(mode="after")
    def _conforming(self) -> Self:
        if self.conforms_to != conformity(self.has_record_of_activity):
            raise ValueError("ISO/IEC TS 27560 asks for a notice; without one a receipt is of Covey's schema")
        return self


def conformity(records: Iterable[ConsentRecord | RightRecord]) -> ReceiptSchema | OwnSchema:
    """Return the schema that a receipt of these records conforms to."""
    return ISO_27560 if all(isinstance(one, ConsentRecord) for one in records) else OWN


def make_json_schema() -> str:
    """Return the JSON Schema (2020-12) of receipts, for readers without Covey."""
    schema = Receipt.model_json_schema(by_alias=True, mode="validation")
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": OWN}
    return json.dumps({**head, **schema}, indent=2, ensure_ascii=False) + "\n"


def read_packaged(name: str) -> str:
    """Return the JSON Schema, the SHACL shapes or the example, as shipped."""
    return resources.files(__package__).joinpath("vocabulary", name).read_text("utf-8")


if __name__ == "__main__" and "--write" in sys.argv:
    Path(__file__).with_name("vocabulary").joinpath(JSON_SCHEMA).write_text(make_json_schema(), "utf-8")
