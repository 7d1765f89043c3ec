"""Checking a receipt offline: with the registry's public key and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from covey_consent.errors import RequestError
from covey_consent.receipts import signing
from covey_consent.receipts.event import STATUS, VALID, event
from covey_consent.receipts.shape import ConsentRecord, Receipt
from covey_consent.records import Record
from covey_privacy.consent import NoticeText


@dataclass(frozen=True, slots=True)
class Verified:
    """A receipt that holds, and for each of its records where the log has it, in words."""

    receipt: Receipt
    places: tuple[str, ...]

    def __str__(self) -> str:
        events = (
            f"subject {record.subject} {record.state} {record.purpose!r} on notice {record.notice} "
            f"at {entry.has_consent_status[0].is_indicated_at_time}, {place}"
            for entry, place in zip(self.receipt.has_record_of_activity, self.places, strict=True)
            for record in (entry.evidence.record,)
        )
        return f"receipt {self.receipt.identifier} holds: {'; '.join(events)}"


def verify(data: bytes, key: bytes) -> Verified:
    """Return what a signed receipt shows under the registry's public `key` (32 bytes).

    Raises RequestError that names the first thing that does not hold: the signature, the schema, what is
    written against what was committed to, the commitment's place in the log.
    """
    receipt = signing.open_(data, key)
    return Verified(receipt, tuple(_check(entry, key) for entry in receipt.has_record_of_activity))


def _check(entry: ConsentRecord, key: bytes) -> str:
    record = entry.evidence.record
    if record.state not in STATUS:
        raise RequestError(f"event {record.event} has the unknown state {record.state!r}")
    wrong = [name for name, holds in _agreement(entry, record).items() if not holds]
    if wrong:
        raise RequestError(f"what is written of event {record.event} is not what was committed: {wrong[0]}")
    return entry.evidence.check(key)


def _agreement(entry: ConsentRecord, record: Record) -> dict[str, bool]:
    """Return, for each thing that is both written and committed, whether the two agree."""
    (process,), (notice,), (said,) = entry.has_process, entry.has_notice, entry.has_consent_status
    text = NoticeText(notice.language, notice.title, notice.description)
    yes = record.state in VALID
    return {
        "its id": (entry.identifier, entry.id) == (record.event, f"urn:uuid:{record.event}"),
        "the subject": entry.has_data_subject.identifier == record.subject,
        "the purpose": process.identifier == notice.identifier == record.purpose,
        "the event": said == event(record, process.has_legal_basis, said.has_duration.value),
        "the notice's text": text.digest.hex() == notice.sha256 and (not yes or notice.sha256 == record.text),
        "the notice's version": not yes
        or (notice.version, notice.language) == (record.notice, record.language),
    }
