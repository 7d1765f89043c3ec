"""Tickets: "someone who allows these purposes in this epoch", blind-signed by the registry.

A phone makes a round key, has its public half blind-signed by the issuer key of one (purpose set, epoch,
role, slot) and shows the result in one round. The registry cannot tell which signature it made; peers need
only the issuer key to check it.

A person gets one ticket under each key of the set and epoch, all in one batch, and a round takes tickets of
one slot: nobody contributes, or volunteers, twice in it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated

from covey_privacy import blind_rsa, wire
from covey_privacy.errors import PeerError, ServerError
from covey_privacy.protocol_rules import Rule
from covey_privacy.signatures import SigningKey, Verify, to_sign, verify

Random = Callable[[int], bytes]

ISSUED = "issued"
MOST_SLOTS = 32
MOST_TICKETS = 2 * MOST_SLOTS
"""Of a batch: one for each role and slot."""

SIGNATURE_LENGTH = blind_rsa.MODULUS_BITS // 8
PublicKey = Annotated[bytes, wire.Size(256, 1024)]


class Role(IntEnum):
    """What a ticket admits to: contributing to a round, or volunteering as its decryptor."""

    CONTRIBUTE = 1
    VOLUNTEER = 2


@dataclass(frozen=True, slots=True)
class IssuerKey:
    """One public key (DER) of an issuer, with the purpose set, epoch, role and slot that it stands for."""

    purposes: tuple[str, ...]
    epoch: int
    role: Role
    slot: int
    key: bytes

    def __str__(self) -> str:
        return (
            f"{' + '.join(self.purposes)} in epoch {self.epoch}, role {self.role.name.lower()}, "
            f"slot {self.slot}"
        )


@dataclass(frozen=True, slots=True)
class IssuerKeys:
    """All issuer keys (DER) of one purpose set and epoch, one for each role and slot; a leaf of the log.

    A person gets one ticket under each key. `contribute` and `volunteer` have one key a slot, of which a
    round uses one: its tickets are of no use in a round of another slot. Iteration is in the order of a
    batch's tickets: contribute, slots 1 to b, then volunteer, slots 1 to b.
    """

    purposes: wire.Names
    epoch: wire.U64
    contribute: Annotated[tuple[PublicKey, ...], wire.Size(1, MOST_SLOTS)]
    volunteer: Annotated[tuple[PublicKey, ...], wire.Size(1, MOST_SLOTS)]

    def __iter__(self) -> Iterator[IssuerKey]:
        return (self.key_for(role, slot) for role in Role for slot in range(1, self.slots + 1))

    def require_sound(self) -> None:
        """Raise PeerError unless there is one key, and no other's, for each role and slot.

        Under keys that are alike one person could take part twice in a round.
        """
        keys = {*self.contribute, *self.volunteer}
        if not len(self.contribute) == len(self.volunteer) == len(keys) / len(Role):
            raise PeerError(
                f"the issuer keys of {' + '.join(self.purposes)} in epoch {self.epoch} are "
                f"{len(self.contribute)} to contribute and {len(self.volunteer)} to volunteer, "
                f"{len(keys)} of them distinct; one for each role and slot was expected",
                rule=Rule.ISSUER_KEY,
            )

    @property
    def slots(self) -> int:
        """b: how many slots there are, counted from 1."""
        return min(len(self.contribute), len(self.volunteer))

    @property
    def batch(self) -> int:
        """How many tickets a person gets: one for each role and slot."""
        return len(Role) * self.slots

    @property
    def digest(self) -> bytes:
        """SHA-256 of the encoded value: the name that a manifest gives."""
        return hashlib.sha256(wire.encode(self)).digest()

    def key_for(self, role: Role, slot: int) -> IssuerKey:
        """Return one key; slots count from 1. Raises ServerError where there is no such slot."""
        if not 1 <= slot <= self.slots:
            raise ServerError(
                f"slot {slot} was named; the issuer keys of {' + '.join(self.purposes)} in epoch "
                f"{self.epoch} have slots 1 to {self.slots}",
                rule=Rule.MANIFEST_ISSUER,
            )
        keys = self.contribute if role == Role.CONTRIBUTE else self.volunteer
        return IssuerKey(self.purposes, self.epoch, role, slot, keys[slot - 1])


@dataclass(frozen=True, slots=True)
class Ticket:
    """A blind-signed round key."""

    round_key: wire.Bytes32
    prefix: Annotated[bytes, wire.Size(blind_rsa.PREFIX_LENGTH)]
    signature: Annotated[bytes, wire.Size(SIGNATURE_LENGTH)]

    def check(self, issuer: IssuerKey, verify: Verify = verify) -> None:
        """Raise PeerError unless `issuer` signed this ticket."""
        if not verify(issuer.key, self.prefix + self.round_key, self.signature):
            raise PeerError(f"the ticket is not signed for {issuer}", rule=Rule.TICKET_SIGNATURE)


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


def request(issuers: Iterable[IssuerKey], random: Random = os.urandom) -> tuple[Pending, ...]:
    """Return a fresh round key for each issuer key, blinded for it; their `blinded` go to the registry.

    A phone asks under all keys of an `IssuerKeys`, in their order.
    """
    return tuple(_pending(issuer, random) for issuer in issuers)


def receive(
    issuers: Iterable[IssuerKey], pending: Sequence[Pending], blind_signatures: Sequence[bytes]
) -> tuple[RoundKey, ...]:
    """Return the certified round keys, in the order of the issuer keys that were asked.

    Raises PeerError when an answer is missing or wrong.
    """
    if len(blind_signatures) != len(pending):
        raise PeerError(
            f"{len(pending)} tickets were asked for and {len(blind_signatures)} answered",
            rule=Rule.TICKET_BATCH,
        )
    return tuple(_certified(*each) for each in zip(issuers, pending, blind_signatures, strict=True))


def _pending(issuer: IssuerKey, random: Random) -> Pending:
    secret = random(32)
    prepared = blind_rsa.prepare(SigningKey(secret).public, random)
    blinded, inverse = blind_rsa.blind(issuer.key, prepared, random)
    return Pending(secret, prepared[: blind_rsa.PREFIX_LENGTH], blinded, inverse.to_bytes(SIGNATURE_LENGTH))


def _certified(issuer: IssuerKey, pending: Pending, blind_signature: bytes) -> RoundKey:
    public = SigningKey(pending.secret).public
    inverse = int.from_bytes(pending.inverse)
    try:
        signature = blind_rsa.finalize(issuer.key, pending.prefix + public, blind_signature, inverse)
    except PeerError as error:
        raise PeerError(f"the ticket for {issuer}: {error}", rule=error.rule) from None
    return RoundKey(pending.secret, Ticket(public, pending.prefix, signature))
