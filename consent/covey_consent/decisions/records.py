"""Records: what one event of a person's consent says, in the form that the log commits to.

The log holds a salted commitment and nothing else: whoever has neither the salt nor the record learns only
that something happened. A person gets both with their receipt; erasure destroys the registry's copies.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, fields

import orjson

SALT_LENGTH = 32


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
