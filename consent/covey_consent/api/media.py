"""Bodies and answers of operations that are not JSON: media type, content, and most bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from prometheus_client import CONTENT_TYPE_LATEST

from covey_consent.rights.imports import LIMIT as EXPORT_BYTES
from covey_privacy import wire
from covey_privacy.tiles import ENTRY_LIMIT

CBOR = "application/cbor"
TEXT = "text/plain; charset=utf-8"
BYTES = "application/octet-stream"
ZIP = "application/zip"

JSON = 2**20
"""A JSON body's bytes at most."""
MESSAGE = ENTRY_LIMIT - 1
"""A message's bytes at most: it fits into the log with its kind byte."""
ENROLMENTS = 2**20
"""A batch of enrolments: about 5,000 devices, each some 200 bytes."""
DECISIONS = 4 * 2**20
"""A batch of decisions: about 15,000, each some 250 bytes."""
OFFER = 4096
"""A volunteer's or a retracting phone's message: about 500 bytes."""
SET_REQUEST = wire.MESSAGE_LIMIT
"""A set's bytes at most; the route takes no more than the round's terms need."""


class Taken(NamedTuple):
    """The body that an operation takes: its content, most bytes and media type."""

    says: str
    limit: int
    media_type: str = CBOR

    def is_type(self, content_type: str) -> bool:
        """Say whether a Content-Type header names this type; for JSON, also one that ends with `+json`."""
        sent = content_type.partition(";")[0].strip().lower()
        if self.media_type == "application/json" and sent.startswith("application/"):
            return sent == self.media_type or sent.endswith("+json")
        return sent == self.media_type


class Content(NamedTuple):
    """An answer's media type and content."""

    media_type: str
    says: str


TAKEN: Mapping[str, Taken] = {
    "enrol": Taken("A `Batch` of signed `Enrolment`s", ENROLMENTS),
    "take_decisions": Taken("A `Batch` of signed `Decision`s", DECISIONS),
    "sync": Taken("A signed `Sync`", MESSAGE),
    "issue": Taken("A signed `TicketRequest`", MESSAGE),
    "announce": Taken("A signed `Manifest`", MESSAGE),
    "conclude": Taken("A signed `Evidence`", MESSAGE),
    "volunteer": Taken("A `VolunteerOffer`", OFFER),
    "retract": Taken("A `Retraction`", OFFER),
    "sign_roster": Taken("A `RosterRequest`", OFFER),
    "draw": Taken("A `DrawRequest`", OFFER),
    "include": Taken("An `InclusionRequest`", SET_REQUEST),
    "grant_dispute": Taken("A `GrantRequest`", MESSAGE),
    "finalise": Taken("An `ExclusionRequest`", SET_REQUEST),
    "import_person": Taken("The export that another registry gave the person", EXPORT_BYTES, ZIP),
}
"""Bodies by operation, where they are not JSON."""

ANSWERED: Mapping[str, Content] = {
    "sync": Content(CBOR, "`Synced`"),
    "issue": Content(CBOR, "`BlindSignatures`"),
    "announce": Content(CBOR, "`LogIndex`"),
    "conclude": Content(CBOR, "`LogIndex`"),
    "sign_roster": Content(CBOR, "`LoggedHead`"),
    "draw": Content(CBOR, "`DrawAnswer`"),
    "include": Content(CBOR, "`InclusionAnswer`"),
    "grant_dispute": Content(CBOR, "`LoggedHead`"),
    "finalise": Content(CBOR, "`LoggedHead`"),
    "read_round": Content(CBOR, "`RoundEntries`"),
    "read_set": Content(CBOR, "`SetLeaves`"),
    "issuer": Content(CBOR, "`Issuer`"),
    "download": Content(CBOR, "`Notices`"),
    "inclusion": Content(CBOR, "`Inclusion`"),
    "consistency": Content(CBOR, "`ConsistencyProof`"),
    "entries": Content(CBOR, "`Entries`"),
    "checkpoint": Content(TEXT, "A signed note"),
    "newest_checkpoint": Content(TEXT, "A signed note"),
    "tile": Content(BYTES, "Hashes of 32 bytes, or entries that each follow their length in two bytes"),
    "export": Content(ZIP, "What is held of the person, to read and to take elsewhere"),
    "metrics": Content(CONTENT_TYPE_LATEST, "The metrics"),
    "security_txt": Content(TEXT, "RFC 9116"),
}
"""Answers by operation, where they are not JSON."""
