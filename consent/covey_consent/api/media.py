"""What operations take and answer beside JSON models: a media type, and what is in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from prometheus_client import CONTENT_TYPE_LATEST

from covey_consent.api.http import CBOR

TEXT = "text/plain; charset=utf-8"
BYTES = "application/octet-stream"
ZIP = "application/zip"


class Content(NamedTuple):
    """A body: its media type, and what is in it."""

    media_type: str
    says: str


TAKEN: Mapping[str, str] = {
    "enrol": "A `Batch` of signed `Enrolment`s",
    "take_decisions": "A `Batch` of signed `Decision`s",
    "sync": "A signed `Sync`",
    "issue": "A signed `TicketRequest`",
    "announce": "A signed `Manifest`",
    "conclude": "A signed `Evidence`",
    "volunteer": "A `VolunteerOffer`",
    "retract": "A `Retraction`",
    "sign_roster": "A `RosterRequest`",
    "draw": "A `DrawRequest`",
    "include": "An `InclusionRequest`",
    "grant_dispute": "A `GrantRequest`",
    "finalise": "An `ExclusionRequest`",
}
"""The CBOR message that an operation takes."""

UPLOADED: Mapping[str, Content] = {
    "import_person": Content(ZIP, "The export that another registry gave the person"),
}
"""What an operation takes that is neither."""

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
"""What an operation answers, where that is no JSON."""
