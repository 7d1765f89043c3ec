"""The roster: who takes part in a round, frozen and countersigned before anyone shares a secret."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

from covey_privacy import wire
from covey_privacy.errors import PeerError, ServerError
from covey_privacy.five_phases.low_order import LOW_ORDER
from covey_privacy.merkle import Tree, leaf_hash
from covey_privacy.records import layout
from covey_privacy.rules import Rule
from covey_privacy.signatures import SigningKey, Verify, to_sign, verify
from covey_privacy.tickets import IssuerKey, Ticket

ADVERT = "advert"
ROSTER = "roster"
ROUND_ROSTER = "round-roster"


@dataclass(frozen=True, slots=True)
class Advert:
    """A device's first message: its ticket, two fresh X25519 keys and the hash of its self-mask seed.

    The ticket's round key signs the keys, the hash and the manifest's digest.
    """

    ticket: Ticket
    mask_key: wire.Bytes32
    seal_key: wire.Bytes32
    seed_digest: wire.Bytes32
    signature: wire.Signature

    @property
    def round_key(self) -> bytes:
        """The public key that names this device in this round."""
        return self.ticket.round_key

    @property
    def leaf(self) -> bytes:
        """The advert's leaf hash in the roster's tree."""
        return leaf_hash(layout(Advert).pack_one(self))

    def check(self, manifest: bytes, issuer: IssuerKey, verify: Verify = verify) -> None:
        """Raise PeerError unless ticket, signature and keys are good for the manifest of that digest."""
        self.ticket.check(issuer, verify)
        signed = to_sign(ADVERT, manifest + self.mask_key + self.seal_key + self.seed_digest)
        if not verify(self.round_key, signed, self.signature):
            raise PeerError("an advert is not signed by its ticket's round key", rule=Rule.ADVERT_SIGNATURE)
        if not LOW_ORDER.isdisjoint((self.mask_key, self.seal_key)):
            raise PeerError("an advert's key is of low order; no secret lies in it", rule=Rule.LOW_ORDER_KEY)


def sign_advert(
    key: SigningKey, ticket: Ticket, manifest: bytes, mask_key: bytes, seal_key: bytes, seed_digest: bytes
) -> Advert:
    """Return the advert for the manifest of that digest, signed with the round key."""
    signature = key.sign(to_sign(ADVERT, manifest + mask_key + seal_key + seed_digest))
    return Advert(ticket, mask_key, seal_key, seed_digest, signature)


@dataclass(frozen=True, slots=True)
class RosterHead:
    """What the registry countersigns, once for each round."""

    round_id: wire.Name
    manifest: wire.Bytes32
    size: wire.U32
    root: wire.Bytes32

    def beacon(self, signature: bytes, registry: bytes, verify: Verify = verify) -> bytes:
        """Return SHA-256 of the countersignature. Raises ServerError unless the registry made it."""
        if not verify(registry, to_sign(ROSTER, wire.encode(self)), signature):
            raise ServerError(
                "the roster is not countersigned by the registry; nothing is shared with it",
                rule=Rule.ROSTER_COUNTERSIGNATURE,
            )
        return hashlib.sha256(signature).digest()

    def countersign(self, key: SigningKey) -> bytes:
        """Return the registry's signature over this head, as RFC 8032 makes it: always the same.

        Whoever holds the key can make others that verify too, and so choose the beacon; no device can tell.
        """
        return key.sign(to_sign(ROSTER, wire.encode(self)))


@dataclass(frozen=True)
class Roster:
    """All adverts of a round in the order of their round keys; a device's index is its place here."""

    round_id: wire.Name
    manifest: wire.Bytes32
    adverts: Annotated[tuple[Advert, ...], wire.Records(1, 1_000_000)]

    @classmethod
    def of(cls, round_id: str, manifest: bytes, adverts: Iterable[Advert]) -> Roster:
        """Return the roster of these adverts; one round key stands in it once."""
        unique = {advert.round_key: advert for advert in adverts}
        return cls(round_id, manifest, tuple(unique[key] for key in sorted(unique)))

    @cached_property
    def tree(self) -> Tree:
        """The Merkle tree of the adverts."""
        return Tree([advert.leaf for advert in self.adverts])

    def head(self) -> RosterHead:
        """Return what the registry is to countersign."""
        return RosterHead(self.round_id, self.manifest, len(self.adverts), self.tree.root())


@dataclass(frozen=True, slots=True)
class Countersigned:
    """The registry's answer to a roster: its signature, or empty with the round keys that it refuses."""

    signature: Annotated[bytes, wire.Size(0, 64)]
    issued: wire.U32
    bad: Annotated[tuple[wire.Bytes32, ...], wire.Records(0, 1_000_000)]
    spent: Annotated[tuple[wire.Bytes32, ...], wire.Records(0, 1_000_000)]


@dataclass(frozen=True, slots=True)
class Logged:
    """Where in the log something now stands."""

    index: wire.U64
