"""What goes into a pack, as the database has it: whether it holds is for `verify.py` to find."""

from __future__ import annotations

import dataclasses
import json
import struct
import time
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from covey_consent.decisions import subjects
from covey_consent.decisions.consent_event import Record
from covey_consent.decisions.unit_of_work import EventStore
from covey_consent.errors import DamageError, RequestError
from covey_consent.policy import controller
from covey_consent.policy.epoch_calendar import Calendar
from covey_consent.policy.transfers import Transfers
from covey_consent.settings import Settings
from covey_consent.storage.models import Event, LogEntry, PublishedCheckpoint
from covey_consent.storage.vault import Vault
from covey_consent.transparency import cosignatures, promises
from covey_privacy import checkpoint, wire
from covey_privacy.errors import PrivacyError
from covey_privacy.evidence import Evidence
from covey_privacy.manifest import Manifest
from covey_privacy.merkle import Tree, leaf_hash
from covey_privacy.note import parse
from covey_privacy.registry_messages import (
    LEAF_EPOCH_END,
    LEAF_EVIDENCE,
    LEAF_ISSUER,
    LEAF_MANIFEST,
    LEAF_NOTICE,
    EpochEnd,
    Notice,
)
from covey_privacy.signatures import Signed, SigningKey
from covey_privacy.tickets import IssuerKeys

KINDS: dict[bytes, tuple[str, type]] = {
    LEAF_NOTICE: ("notice", Notice),
    LEAF_ISSUER: ("issuer keys", IssuerKeys),
    LEAF_MANIFEST: ("manifest", Manifest),
    LEAF_EVIDENCE: ("evidence", Evidence),
    LEAF_EPOCH_END: ("epoch end", EpochEnd),
}
SIGNED = (Manifest, Evidence)


class OpenedRecord(NamedTuple):
    """A person's record with its salt, and the signed `Promise` of one that is not in the log yet."""

    record: Record
    salt: bytes
    promise: bytes = b""


def log_files(session: Session, start: int) -> dict[str, bytes]:
    """Return the newest checkpoint, its entries from `start` on, and the documents among them, to read."""
    last = session.scalar(select(PublishedCheckpoint).order_by(PublishedCheckpoint.size.desc()).limit(1))
    if last is None:
        raise DamageError("the database has no checkpoint: no registry was ever started on it")
    try:
        size = checkpoint.head(parse(last.note)).size
    except PrivacyError:
        size = last.size  # The note is no checkpoint: verify.py will say so.
    if not 0 <= start <= size:
        raise RequestError(f"the log has {size} entries; a pack cannot begin at {start}")
    entries = _read_entries(session, start, size)
    documents = [read for index, entry in enumerate(entries, start) if (read := _read_document(index, entry))]
    return {
        "checkpoint": (last.note + cosignatures.lines(session, last.size)).encode(),
        "before": _subtree_heads(_read_entries(session, 0, start)),
        "entries": b"".join(struct.pack(">H", len(entry)) + entry for entry in entries),
        "documents.json": _to_json(documents),
    }


def read_records(
    session: Session, settings: Settings, key: SigningKey, subject: str
) -> Sequence[OpenedRecord]:
    """Return every record of the person, with the promise of those not logged yet. Raises UnknownError."""
    subjects.find(session, subject)
    calendar = Calendar(time.time, settings.epoch_seconds, settings.tolerance_seconds)
    transfers = Transfers(controller.load(settings.controller), {})
    events = EventStore(settings.origin, Vault(key), calendar, transfers)
    records = []
    for row in session.scalars(select(Event).filter_by(subject=subject).order_by(Event.id)):
        record, opening = events.open(session, row)
        at = promises.promised_at(session, row.commitment)
        promise = b"" if at is None else promises.promise(key, settings.origin, row.commitment, calendar, at)
        records.append(OpenedRecord(record, opening.salt, promise))
    return records


def subject_file(subject: str, opened: Iterable[OpenedRecord]) -> dict[str, bytes]:
    """Return one person's records, with what opens their commitments."""
    records = [
        {"record": dataclasses.asdict(one.record), "salt": one.salt.hex(), "promise": one.promise.hex()}
        for one in opened
    ]
    return {f"subjects/{subject}.json": _to_json({"subject": subject, "records": records})}


def _read_entries(session: Session, start: int, end: int) -> Sequence[bytes]:
    query = select(LogEntry.entry).where(LogEntry.index >= start, LogEntry.index < end)
    return session.scalars(query.order_by(LogEntry.index)).all()


def _subtree_heads(entries: Iterable[bytes]) -> bytes:
    """Return the heads of the greatest complete subtrees that the entries make, greatest first."""
    tree = Tree([leaf_hash(entry) for entry in entries])
    size = len(tree)
    heights = [height for height in reversed(range(size.bit_length())) if size >> height & 1]
    return b"".join(tree.node(height, (size >> height) - 1) for height in heights)


def _read_document(index: int, entry: bytes) -> dict[str, Any] | None:
    """Return what a document says, to read; None where it is none, or nothing that can be read."""
    if entry[:1] not in KINDS:
        return None
    kind, cls = KINDS[entry[:1]]
    try:
        body = wire.decode(Signed, entry[1:]).body if cls in SIGNED else entry[1:]
        says = dataclasses.asdict(wire.decode(cls, body))
    except PrivacyError:
        return None  # It may be evidence of an earlier version, which has other fields.
    if says.get("terms"):
        # Records travel as one byte string, and verify.py reads no other form.
        says["terms"]["organisations"] = b"".join(says["terms"]["organisations"])
    return {"index": index, "kind": kind, "says": says}


def _to_json(value: Any) -> bytes:
    """Return the value as JSON to be read, with bytes in hex."""
    return json.dumps(value, indent=1, ensure_ascii=False, default=bytes.hex).encode()
