"""The shape of a receipt: the fields of ISO/IEC TS 27560 in the Data Privacy Vocabulary's words (DPV-27560).

Each class is one JSON-LD node, each field one property: `has_purpose` is `dpv:hasPurpose`, and `TERMS` names
those of other vocabularies. The context stands in the receipt, so that nothing is fetched to read it.
"""

from __future__ import annotations

import json
from importlib import resources
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema
from pydantic.alias_generators import to_camel

from covey_consent.receipts.evidence import Promised, Published

CONTEXT: dict[str, Any] = json.loads(
    resources.files(__package__).joinpath("vocabulary", "context.json").read_text("utf-8")
)
MOST_RECORDS = 64

TERMS = {
    "context": "@context",
    "id": "@id",
    "type": "@type",
    "value": "rdf:value",
    "version": "schema:version",
    **{name: f"dct:{to_camel(name)}" for name in (
        "identifier", "conforms_to", "created", "publisher", "title", "description", "language",
    )},
    **{name: f"covey:{to_camel(name)}" for name in (
        "sha256", "data_in_words", "privacy_budget", "epsilon", "epsilon_total", "delta", "evidence",
    )},
}  # fmt: skip


def term(field: str) -> str:
    """Return the JSON-LD property of a field."""
    return TERMS.get(field, f"dpv:{to_camel(field)}")


def _is_ours(context: dict[str, Any]) -> dict[str, Any]:
    if any(CONTEXT.get(term) != meaning for term, meaning in context.items()):
        raise ValueError("the context gives a term another meaning than Covey's receipts do")
    return context


_CONTEXT_SCHEMA = {
    "type": "object",
    "properties": {term: {"const": meaning} for term, meaning in CONTEXT.items()},
    "additionalProperties": False,
}
Context = Annotated[dict[str, Any], AfterValidator(_is_ours), WithJsonSchema(_CONTEXT_SCHEMA)]
RecordSchema = Literal["https://w3id.org/dpv/schema/dpv-27560#record-eu-gdpr"]
ReceiptSchema = Literal["https://w3id.org/dpv/schema/dpv-27560#receipt-eu-gdpr"]
Iri = Annotated[
    str, StringConstraints(pattern=r"^(covey|dpv|eu-gdpr|loc|pd|pipl):[A-Za-z0-9-]+$", max_length=80)
]
Words = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=65_535)]
Uuid = Annotated[str, StringConstraints(pattern="^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Hex32 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
Time = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")]
Some = Field(min_length=1, max_length=32)


def _require_what_is_fixed(schema: dict[str, Any], node: type[BaseModel]) -> None:
    """Ask for every field that each receipt has, also for those of one value only."""
    fields = node.model_fields.items()
    schema["required"] = [term(name) for name, field in fields if field.is_required() or field.default]


class Node(BaseModel):
    """A JSON-LD node of known properties and no other."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=term,
        populate_by_name=True,
        json_schema_extra=_require_what_is_fixed,
    )


class Subject(Node):
    """The person, by pseudonym (pii_principal_id)."""

    type: Literal["dpv:Customer"] = "dpv:Customer"
    identifier: Words


class Notice(Node):
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


class Recipient(Node):
    """Who receives data (recipient_third_parties); `description` names the safeguard of a transfer."""

    type: tuple[Literal["dpv:Recipient"], Iri]
    has_name: Words
    has_country: Iri | None = None
    description: Words | None = None


class PrivacyBudget(Node):
    """The most that a year may cost the person in differential privacy, and what that means."""

    type: Literal["covey:PrivacyBudget"] = "covey:PrivacyBudget"
    epsilon: Annotated[float, Field(ge=0, le=100)]
    epsilon_total: Annotated[float, Field(ge=0, le=100)]
    delta: Annotated[float, Field(gt=0, lt=1)]
    description: Words


class Process(Node):
    """What is done with which data, why, where and for how long."""

    type: Literal["dpv:Process"] = "dpv:Process"
    identifier: Words
    title: Words
    has_purpose: Annotated[tuple[Iri, ...], Some]
    has_legal_basis: Annotated[tuple[Iri, ...], Some]
    has_personal_data: Annotated[tuple[PersonalData, ...], Some]
    data_in_words: Annotated[tuple[Words, ...], Some]
    has_storage_condition: tuple[StorageLocation, StorageDuration]
    has_recipient: Annotated[tuple[Recipient, ...], Some]
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


class Event(Node):
    """What was said, when, by whom and until when (event_time, validity_duration, entity_id, event_state)."""

    type: Iri
    has_legal_basis: Iri
    is_indicated_by: Iri
    has_indication_method: Words
    is_indicated_at_time: Time
    has_duration: Duration


class ConsentRecord(Node):
    """One event of consent with all that it was about, and its evidence in the log."""

    id: Words
    type: Literal["dpv:ConsentRecord"] = "dpv:ConsentRecord"
    conforms_to: RecordSchema = "https://w3id.org/dpv/schema/dpv-27560#record-eu-gdpr"
    identifier: Uuid
    has_data_subject: Subject
    has_notice: tuple[Notice]
    has_process: tuple[Process]
    has_data_controller: Annotated[tuple[Party, ...], Some]
    has_data_protection_officer: Office | None = None
    has_jurisdiction: Annotated[tuple[Iri, ...], Some]
    has_consent_control: tuple[Withdrawal]
    has_right: Annotated[tuple[Right, ...], Some]
    has_authority: tuple[Office]
    has_consent_status: tuple[Event]
    evidence: Published | Promised


class Receipt(Node):
    """A receipt: consent records, and who gave it out when."""

    context: Context = CONTEXT
    id: Words
    type: Literal["dpv:ConsentReceipt"] = "dpv:ConsentReceipt"
    conforms_to: ReceiptSchema = "https://w3id.org/dpv/schema/dpv-27560#receipt-eu-gdpr"
    identifier: Uuid
    created: Time
    publisher: Words
    has_record_of_activity: Annotated[tuple[ConsentRecord, ...], Field(min_length=1, max_length=MOST_RECORDS)]
