"""Tickets: "someone who allows these purposes in this epoch", blind-signed by the registry.

A phone makes a round key, has its public half blind-signed by the issuer key of one (purpose set, epoch) and
shows the result in one round. The registry cannot tell which signature it made; peers need only the issuer
key to check it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated

from covey_privacy import blind_rsa, wire
from covey_privacy.errors import PeerError
from covey_privacy.rules import Rule
from covey_privacy.signatures import SigningKey, Verify, to_sign, verify

Random = Callable[[int], bytes]

ISSUED = "issued"
MOST_SLOTS = 32

SIGNATURE_LENGTH = blind_rsa.MODULUS_BITS // 8
PublicKey = Annotated[bytes, wire.Size(256, 1024)]


@dataclass(frozen=True, slots=True)
class IssuerKey:
    """An issuer's public key (DER) with the purpose set and epoch it stands for; a leaf of the log."""

    purposes: wire.Names
    epoch: wire.U64
    key: PublicKey

    @property
    def digest(self) -> bytes:
        """SHA-256 of the encoded value: the name that a manifest gives."""
        return hashlib.sha256(wire.encode(self)).digest()


class Role(IntEnum):
    """What a ticket admits to: contributing to a round, or volunteering as its decryptor."""

    CONTRIBUTE = 1
    VOLUNTEER = 2


@dataclass(frozen=True, slots=True)
class IssuerKeys:
    """All issuer keys (DER) of one purpose set and epoch, one for each role and slot; a leaf of the log.

    A person gets one ticket under each key. `contribute` and `volunteer` have one key a slot, of which a
    round uses one: its tickets are of no use in a round of another slot.
    """

    purposes: wire.Names
    epoch: wire.U64
    contribute: Annotated[tuple[PublicKey, ...], wire.Size(1, MOST_SLOTS)]
    volunteer: Annotated[tuple[PublicKey, ...], wire.Size(1, MOST_SLOTS)]

    @property
    def digest(self) -> bytes:
        """SHA-256 of the encoded value: the name that a manifest gives."""
        return hashlib.sha256(wire.encode(self)).digest()

    def of(self, role: Role, slot: int) -> IssuerKey:
        """Return one key; slots count from 1. Raises PeerError where there is no such slot."""
        keys = self.contribute if role == Role.CONTRIBUTE else self.volunteer
        if not 1 <= slot <= len(keys):
            raise PeerError(
                f"the issuer has slots 1 to {len(keys)}; slot {slot} was asked for", rule=Rule.TICKET_BATCH
            )
        return IssuerKey(self.purposes, self.epoch, keys[slot - 1])


@dataclass(frozen=True, slots=True)
class Ticket:
    """A blind-signed round key."""

    round_key: wire.Bytes32
    prefix: Annotated[bytes, wire.Size(blind_rsa.PREFIX_LENGTH)]
    signature: Annotated[bytes, wire.Size(SIGNATURE_LENGTH)]

    def check(self, issuer: IssuerKey, verify: Verify = verify) -> None:
        """Raise PeerError unless `issuer` signed this ticket."""
        if not verify(issuer.key, self.prefix + self.round_key, self.signature):
            raise PeerError(
                f"the ticket is not signed for {' + '.join(issuer.purposes)} in epoch {issuer.epoch}",
                rule=Rule.TICKET_SIGNATURE,
            )


@dataclass(frozen=True, slots=True)
class Pending:
    """What a phone keeps of one blinded round key until the answer arrives."""

    secret: wire.Bytes32
    prefix: Annotated[bytes, wire.Size(blind_rsa.PREFIX_LENGTH)]
    blinded: Annotated[bytes, wire.Size(SIGNATURE_LENGTH)]
    inverse: Annotated[bytes, wire.Size(SIGNATURE_LENGTH)]


@dataclass(frozen=True, slots=True)
class RoundKey:
    """A round key's secret with the ticket that certifies it."""

    secret: wire.Bytes32
    ticket: Ticket


def purpose_set(purposes: Iterable[str]) -> tuple[str, ...]:
    """Return the purposes in their one order."""
    return tuple(sorted(set(purposes)))


def to_count(purposes: Sequence[str], epoch: int) -> bytes:
    """Return what the operator signs to be told an epoch's counts."""
    return to_sign(ISSUED, f"{epoch}/{'+'.join(purposes)}".encode())


def request(issuer: IssuerKey, count: int, random: Random = os.urandom) -> tuple[Pending, ...]:
    """Return `count` fresh round keys, blinded for `issuer`; their `blinded` go to the registry."""
    return tuple(_pending(issuer, random) for _ in range(count))


def receive(
    issuer: IssuerKey, pending: Sequence[Pending], blind_signatures: Sequence[bytes]
) -> tuple[RoundKey, ...]:
    """Return the certified round keys. Raises PeerError when an answer is missing or wrong."""
    if len(blind_signatures) != len(pending):
        raise PeerError(
            f"{len(pending)} tickets were asked for and {len(blind_signatures)} answered",
            rule=Rule.TICKET_BATCH,
        )
    return tuple(_certified(issuer, p, s) for p, s in zip(pending, blind_signatures, strict=True))


def _pending(issuer: IssuerKey, random: Random) -> Pending:
    secret = random(32)
    prepared = blind_rsa.prepare(SigningKey(secret).public, random)
    blinded, inverse = blind_rsa.blind(issuer.key, prepared, random)
    return Pending(secret, prepared[: blind_rsa.PREFIX_LENGTH], blinded, inverse.to_bytes(SIGNATURE_LENGTH))


def _certified(issuer: IssuerKey, pending: Pending, blind_signature: bytes) -> RoundKey:
    public = SigningKey(pending.secret).public
    inverse = int.from_bytes(pending.inverse)
    signature = blind_rsa.finalize(issuer.key, pending.prefix + public, blind_signature, inverse)
    return RoundKey(pending.secret, Ticket(public, pending.prefix, signature))
