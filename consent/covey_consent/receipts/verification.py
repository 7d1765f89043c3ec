"""Checking a receipt offline: with the registry's public key and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from covey_consent.decisions.consent_event import EVERYTHING, Record
from covey_consent.errors import RequestError
from covey_consent.receipts import signing
from covey_consent.receipts.event import STATUS, VALID, event
from covey_consent.receipts.schema_27560 import ConsentRecord, Receipt, RightRecord
from covey_privacy.registry_messages import NoticeText


@dataclass(frozen=True, slots=True)
class Verified:
    """A receipt that holds, and for each of its records where the log has it, in words."""

    receipt: Receipt
    places: tuple[str, ...]

    def __str__(self) -> str:
        events = (
            f"subject {record.subject} {record.state} {_about(record)} "
            f"at {entry.has_consent_status[0].is_indicated_at_time}, {_origin(record)}{place}"
            for entry, place in zip(self.receipt.has_record_of_activity, self.places, strict=True)
            for record in (entry.evidence.record,)
        )
        return f"receipt {self.receipt.identifier} holds: {'; '.join(events)}"


def _about(record: Record) -> str:
    return f"{record.purpose!r} on notice {record.notice}" if record.notice else repr(record.purpose)


def _origin(record: Record) -> str:
    return f"imported from registry {record.source}, " if record.source else ""


def verify(data: bytes, key: bytes) -> Verified:
    """Return what a signed receipt shows under the registry's public `key` (32 bytes).

    Raises RequestError that names the first thing that does not hold: the signature, the schema, what is
    written against what was committed to, the commitment's place in the log.
    """
    receipt = signing.open_(data, key)
    return Verified(receipt, tuple(_check(entry, key) for entry in receipt.has_record_of_activity))


def _check(entry: ConsentRecord | RightRecord, key: bytes) -> str:
    record = entry.evidence.record
    if record.state not in STATUS:
        raise RequestError(f"event {record.event} has the unknown state {record.state!r}")
    wrong = [name for name, holds in _agreement(entry, record).items() if not holds]
    if wrong:
        raise RequestError(f"what is written of event {record.event} is not what was committed: {wrong[0]}")
    return entry.evidence.check(key)


def _agreement(entry: ConsentRecord | RightRecord, record: Record) -> dict[str, bool]:
    """Return, for each thing that is both written and committed, whether the two agree."""
    (said,) = entry.has_consent_status
    basis = entry.has_process[0].has_legal_basis if entry.has_process else ()
    own = _of_consent(entry, record) if isinstance(entry, ConsentRecord) else _of_right(entry, record)
    return {
        "its id": (entry.identifier, entry.id) == (record.event, f"urn:uuid:{record.event}"),
        "the subject": entry.has_data_subject.identifier == record.subject,
        "the event": said == event(record, basis, said.has_duration.value),
        **own,
    }


def _of_right(entry: RightRecord, record: Record) -> dict[str, bool]:
    process = entry.has_process[0].identifier if entry.has_process else EVERYTHING
    return {"the purpose": process == record.purpose, "the notice": record.state not in VALID}


def _of_consent(entry: ConsentRecord, record: Record) -> dict[str, bool]:
    (process,), (notice,) = entry.has_process, entry.has_notice
    text = NoticeText(notice.language, notice.title, notice.description)
    yes = record.state in VALID
    return {
        "the purpose": process.identifier == notice.identifier == record.purpose,
        "the notice's text": text.digest.hex() == notice.sha256 and (not yes or notice.sha256 == record.text),
        "the notice's version": not yes
        or (notice.version, notice.language) == (record.notice, record.language),
    }
