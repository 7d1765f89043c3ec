"""What a coordinator sends a decryptor's server, around the messages of `covey_privacy.secagg`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from covey_privacy import wire
from covey_privacy.secagg.messages import CHECK_LIMIT, Logged
from covey_privacy.tickets import IssuerKeys

SEAT_LIMIT = 2**19
"""Bytes of a `SeatRequest`: the manifest, 64 issuer keys and a note with 16 cosignatures fit."""
COMMITTEE_LIMIT = 2**20
"""Bytes of a committee file: 1,024 drawn decryptors fit."""
OPEN_LIMIT = 2**18
"""Bytes of an `OpenRequest`: 10,000 excluded places and a note fit."""


@dataclass(frozen=True, slots=True)
class SeatRequest:
    """Asks for a seat: the signed manifest, its issuer keys, and its place in the witnessed log."""

    manifest: Annotated[bytes, wire.Size(1, 2**16)]
    issuer: IssuerKeys
    logged: Logged


@dataclass(frozen=True, slots=True)
class CommitteeCheck:
    """Asks for a check: the committee file, and the `CheckRequest` for this decryptor."""

    committees: Annotated[bytes, wire.Size(1, COMMITTEE_LIMIT)]
    request: Annotated[bytes, wire.Size(1, CHECK_LIMIT)]
