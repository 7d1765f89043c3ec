"""What a coordinator sends a decryptor's server, around the messages of `covey_privacy.secagg`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from covey_privacy import wire
from covey_privacy.secagg.messages import CHECK_LIMIT, Logged
from covey_privacy.secagg.terms import digest_of_fields
from covey_privacy.signatures import SigningKey, to_sign
from covey_privacy.tickets import IssuerKeys

CHECK = "decryptor/check"
"""The context of the operator's signature on a check."""
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
    """Asks for a check: committee file and `CheckRequest` for this decryptor, signed by the operator.

    Whoever has the leaves could otherwise ask first, with other boxes, and have honest phones complained
    of.
    """

    committees: Annotated[bytes, wire.Size(1, COMMITTEE_LIMIT)]
    request: Annotated[bytes, wire.Size(1, CHECK_LIMIT)]
    signature: wire.Signature

    @classmethod
    def signed(cls, digest: bytes, committees: bytes, request: bytes, operator: SigningKey) -> CommitteeCheck:
        """Return the check that the operator asks for in the round of a manifest's digest."""
        return cls(committees, request, operator.sign(check_statement(digest, committees, request)))


def check_statement(digest: bytes, committees: bytes, request: bytes) -> bytes:
    """Return what the operator signs of a check."""
    return to_sign(CHECK, digest_of_fields(digest, committees, request))
