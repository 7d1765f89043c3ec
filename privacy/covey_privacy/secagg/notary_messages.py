"""What operator and registry say to each other over HTTP in a round in one message.

Each request names the round's manifest by its digest, and the operator signs the request's digest
(`request_statement`). Each answer carries what the registry signed and where that stands in the log.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated

from covey_privacy import wire
from covey_privacy.secagg.messages import Bulk, DrawnCommittee, Index, Logged, PackedLeaves, SignedDocument
from covey_privacy.secagg.terms import MOST_MEMBERS
from covey_privacy.signatures import to_sign

ROSTER_REQUEST = "round/roster"
DRAW_REQUEST = "round/draw"
INCLUSION_REQUEST = "round/included"
GRANT_REQUEST = "round/dispute"
EXCLUSION_REQUEST = "round/final"
"""Contexts of the operator's signatures."""

MOST_ENTRIES = MOST_MEMBERS + 4
"""Of one round in the log: roster, draw, included and final set, and one grant a member."""

WitnessName = Annotated[str, wire.Size(1, 256)]


@dataclass(frozen=True, slots=True)
class RosterRequest:
    """Sign the roster of all volunteers."""

    manifest: wire.Bytes32


@dataclass(frozen=True, slots=True)
class DrawRequest:
    """Sign the draw that the stored roster and this nonce give."""

    manifest: wire.Bytes32
    nonce: wire.Bytes32


@dataclass(frozen=True, slots=True)
class InclusionRequest:
    """Sign the included set: an encoded `CommitteeFile` and an encoded `IncludeRequest`."""

    manifest: wire.Bytes32
    committees: Bulk
    request: Bulk


@dataclass(frozen=True, slots=True)
class GrantRequest:
    """Grant a dispute about a member, one of those in a drawn decryptor's encoded `Complaints`."""

    manifest: wire.Bytes32
    complaints: Bulk
    member: Index


@dataclass(frozen=True, slots=True)
class ExclusionRequest:
    """Sign the final set: an encoded `FinalRequest`."""

    manifest: wire.Bytes32
    request: Bulk


@dataclass(frozen=True, slots=True)
class LoggedHead:
    """What the registry signed, and where it stands in the log.

    `missing` names the registry's witnesses whose cosignature the note lacks. The same request again gives
    the same signature under a newer note.
    """

    signed: SignedDocument
    logged: Logged
    missing: Annotated[tuple[WitnessName, ...], wire.Size(0, 64)]


@dataclass(frozen=True, slots=True)
class DrawAnswer:
    """The drawn committee, with its signed draw in the log."""

    drawn: DrawnCommittee
    head: LoggedHead


@dataclass(frozen=True, slots=True)
class RefusedMember:
    """A member that cannot take part: its round key, and the rule that it broke."""

    round_key: wire.Bytes32
    rule: wire.Name


@dataclass(frozen=True, slots=True)
class InclusionAnswer:
    """The included set's head; none where members are refused, who are to be left out."""

    head: LoggedHead | None
    refused: Annotated[tuple[RefusedMember, ...], wire.Size(0, MOST_MEMBERS)]


@dataclass(frozen=True, slots=True)
class RoundEntry:
    """A signed head, draw, roster or grant, and its index in the log."""

    index: wire.U64
    signed: SignedDocument


@dataclass(frozen=True, slots=True)
class RoundEntries:
    """To anyone: a round's signed manifest with its index in the log, and all that the registry signed.

    `evidence` is the operator's signed evidence, once it is in the log.
    """

    manifest: Annotated[bytes, wire.Size(1, 2**16)]
    index: wire.U64
    entries: Annotated[tuple[RoundEntry, ...], wire.Size(0, MOST_ENTRIES)]
    evidence: RoundEntry | None = None


def request_statement(context: str, body: bytes) -> bytes:
    """Return what the operator signs: a request's context, and the SHA-256 of its bytes."""
    return to_sign(context, hashlib.sha256(body).digest())


@dataclass(frozen=True, slots=True)
class SetLeaves:
    """Public: the leaves of a signed set, sorted by round key, as `GET /v1/sets/<root>` answers."""

    leaves: PackedLeaves
