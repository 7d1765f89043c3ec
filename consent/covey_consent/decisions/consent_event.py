"""Consent events: what was said for a person, its record, and the commitment to it in the log.

The log holds a salted commitment and nothing else: without the salt and the record it shows only that
something happened. A person gets both with their receipt; erasure destroys the registry's copies.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, fields
from typing import Annotated, NamedTuple

import orjson

from covey_privacy import wire

EVERYTHING = "*"
"""The purpose of an event that restricts all processing."""

SUBJECT = "subject"
GUARDIAN = "guardian"
OFFICER = "officer"
SYSTEM = "system"

SALT_LENGTH = 32


class ConsentEvent(NamedTuple):
    """An event before it is recorded; `signed` is what a device signed, if one did.

    `version` is the notice's major; `at` and `expires_at` are Unix milliseconds, 0 for never. `source` is the
    key of the registry that an import came from, as in `Record`.
    """

    subject: str
    purpose: str
    state: str
    actor: str
    method: str
    at: int
    notice: str = ""
    version: int = 0
    language: str = ""
    text: bytes = b""
    expires_at: int = 0
    signed: bytes = b""
    source: str = ""

    @property
    def digest(self) -> bytes | None:
        """Identifies a signed event, so that it is recorded once; None for an event that nobody signed."""
        return hashlib.sha256(self.signed).digest() if self.signed else None


@dataclass(frozen=True, slots=True)
class Record:
    """One event: who said what, about which purpose, on which text.

    `registry` is the log's origin, `event` a UUID, `subject` a pseudonym, `notice` a semantic version, `text`
    the hex SHA-256 of the `NoticeText` shown, `actor` who said it ("subject", "guardian", "officer",
    "system"). `at` and `expires` are Unix milliseconds; `expires` is 0 where the event holds until another.
    `source` is the hex public key of the registry whose export the event was imported from, "" where it was
    said here.
    """

    registry: str
    event: str
    subject: str
    purpose: str
    state: str
    actor: str
    method: str
    notice: str
    language: str
    text: str
    at: int
    expires: int
    source: str = ""

    def canonical(self) -> bytes:
        """Return the record as canonical JSON (RFC 8785): its keys are ASCII, its numbers integers."""
        return orjson.dumps({name: getattr(self, name) for name in _NAMES})


_NAMES = sorted(field.name for field in fields(Record))


def commit(salt: bytes, record: Record) -> bytes:
    """Return the 32 bytes that stand for the record in the log: HMAC-SHA256 under its own random salt."""
    return hmac.digest(salt, record.canonical(), hashlib.sha256)


class CommittedRecord(NamedTuple):
    """A new record and its commitment."""

    record: Record
    commitment: bytes


@dataclass(frozen=True, slots=True)
class CommitmentOpening:
    """The salt that opens an event's commitment, and the bytes that the device signed."""

    salt: Annotated[bytes, wire.Size(SALT_LENGTH)]
    signed: Annotated[bytes, wire.Size(0, 2**12)]
