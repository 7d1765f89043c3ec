"""Signed receipts, and their verification offline with the registry's public key and nothing else.

A signed receipt is a compact JWS (RFC 7515), Ed25519 (RFC 8037), over canonical JSON-LD (RFC 8785). The key
is the registry's own, which also signs its log and notices. What is signed there begins with the log's name
and a newline, or with "covey/1/"; a JWS is base64url throughout: none can stand for another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import rfc8785
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from joserfc.jws import JWSRegistry
from pydantic import ValidationError

from covey_consent.access.tokens import ALGORITHM, jwk, public_key_jwk
from covey_consent.decisions.consent_event import EVERYTHING
from covey_consent.decisions.records import Record
from covey_consent.errors import RequestError
from covey_consent.receipts.content import CONSENTING, STATUS, event_node
from covey_consent.receipts.schema_27560 import ConsentRecord, Receipt, RightRecord
from covey_privacy.registry_messages import NoticeText
from covey_privacy.signatures import SigningKey

TYPE = "covey-receipt+jwt"
LIMIT = 2**22
"""A signed receipt's bytes at most: 64 records with their texts and proofs."""


class _Registry(JWSRegistry):
    max_payload_length = LIMIT


_REGISTRY = _Registry(algorithms=[ALGORITHM])


@dataclass(frozen=True, slots=True)
class VerifiedReceipt:
    """A receipt that holds, and for each of its records where the log has it, in words."""

    receipt: Receipt
    places: tuple[str, ...]

    def __str__(self) -> str:
        entries = zip(self.receipt.has_record_of_activity, self.places, strict=True)
        events = (_describe(entry, place) for entry, place in entries)
        return f"receipt {self.receipt.identifier} holds: {'; '.join(events)}"


def canonical(receipt: Receipt) -> bytes:
    """Return the receipt as canonical JSON-LD."""
    return rfc8785.dumps(receipt.model_dump(mode="json", by_alias=True, exclude_none=True))


def sign(receipt: Receipt, key: SigningKey) -> bytes:
    """Return the receipt signed; `kid` is the key's thumbprint (RFC 7638)."""
    pair = jwk(key)
    return jws.serialize_compact(_header(pair), canonical(receipt), pair, registry=_REGISTRY).encode()


def public_jwk(key: bytes) -> dict[str, Any]:
    """Return the JWK by which others verify receipts (RFC 7517)."""
    pair = public_key_jwk(key)
    return {**pair.as_dict(private=False), "kid": pair.thumbprint(), "alg": ALGORITHM, "use": "sig"}


def verify(signed: bytes, key: bytes) -> VerifiedReceipt:
    """Return a signed receipt, verified under the registry's public `key` (32 bytes).

    Raises RequestError that names the first check that fails: the signature, the schema, the agreement with
    the committed record, the commitment's place in the log.
    """
    receipt = open_receipt(signed, key)
    return VerifiedReceipt(receipt, tuple(_check(entry, key) for entry in receipt.has_record_of_activity))


def open_receipt(signed: bytes, key: bytes) -> Receipt:
    """Return the receipt in a JWS of the public `key` (32 bytes). Raises RequestError when it is not one."""
    if len(signed) > LIMIT:
        raise RequestError(f"a signed receipt has at most {LIMIT} bytes; {len(signed)} arrived")
    pair = public_key_jwk(key)
    try:
        opened = jws.deserialize_compact(signed, pair, registry=_REGISTRY)
    except (JoseError, ValueError) as error:
        why = str(error).rstrip(": ")
        raise RequestError(f"the receipt is not signed by the registry's key: {why}") from None
    if opened.headers() != _header(pair):
        raise RequestError(
            f"the signature's header is not a receipt's: alg {ALGORITHM}, typ {TYPE} and the kid"
        )
    try:
        receipt = Receipt.model_validate_json(opened.payload, by_alias=True, by_name=False)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise RequestError(f"the receipt is not of its schema: {where}: {first['msg']}") from None
    if canonical(receipt) != opened.payload:
        raise RequestError("the receipt is not canonical JSON (RFC 8785), so that two readers could read two")
    return receipt


def _header(pair: OKPKey) -> dict[str, str]:
    return {"alg": ALGORITHM, "kid": pair.thumbprint(), "typ": TYPE}


def _describe(entry: ConsentRecord | RightRecord, place: str) -> str:
    record = entry.evidence.record
    notice = f" on notice {record.notice}" if record.notice else ""
    origin = f"imported from registry {record.source}, " if record.source else ""
    return (
        f"subject {record.subject} {record.state} {record.purpose!r}{notice} "
        f"at {entry.has_consent_status[0].is_indicated_at_time}, {origin}{place}"
    )


def _check(entry: ConsentRecord | RightRecord, key: bytes) -> str:
    record = entry.evidence.record
    if record.state not in STATUS:
        raise RequestError(f"event {record.event} has the unknown state {record.state!r}")
    wrong = [name for name, holds in _agreements(entry, record).items() if not holds]
    if wrong:
        raise RequestError(f"what is written of event {record.event} is not what was committed: {wrong[0]}")
    return entry.evidence.check(key)


def _agreements(entry: ConsentRecord | RightRecord, record: Record) -> dict[str, bool]:
    """Return, for each thing that is both written and committed, whether the two agree."""
    (status,), consents = entry.has_consent_status, record.state in CONSENTING
    process = entry.has_process[0] if entry.has_process else None
    agreements = {
        "its id": (entry.identifier, entry.id) == (record.event, f"urn:uuid:{record.event}"),
        "the subject": entry.has_data_subject.identifier == record.subject,
        "the event": status
        == event_node(record, process.has_legal_basis if process else (), status.has_duration.value),
        "the purpose": record.purpose == (process.identifier if process else EVERYTHING),
    }
    if not isinstance(entry, ConsentRecord):
        return agreements | {"the notice": not consents}
    (notice,) = entry.has_notice
    digest = NoticeText(notice.language, notice.title, notice.description).digest.hex()
    return agreements | {
        "the purpose": agreements["the purpose"] and notice.identifier == record.purpose,
        "the notice's text": digest == notice.sha256 and (not consents or notice.sha256 == record.text),
        "the notice's version": not consents
        or (notice.version, notice.language) == (record.notice, record.language),
    }
