"""The round's messages, in the order in which they are sent. All of one kind in one round have one size."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated

from covey_privacy import wire
from covey_privacy.fixed_records import layout
from covey_privacy.merkle import leaf_hash
from covey_privacy.note import LIMIT
from covey_privacy.registry_messages import ProofHashes
from covey_privacy.secagg.equality_proof import SharedPoint
from covey_privacy.secagg.terms import MOST_DECRYPTORS, MOST_MEMBERS, MOST_ORGANISATIONS
from covey_privacy.tickets import Ticket

VOLUNTEER = "secagg/volunteer"
BOX_KEY = "secagg/box-key"
CONTRIBUTION = "secagg/contribution"
RETRACTION = "secagg/retraction"
ROSTER = "secagg/roster"
DRAW = "secagg/draw"
INCLUDED = "secagg/included"
DISPUTE = "secagg/dispute"
FINAL = "secagg/final"
CHECK = "secagg/check"
OPEN = "secagg/open"
"""Contexts of signatures (`signatures.to_sign`)."""

COLLECTED_LIMIT = 2**30
"""Bytes of a `Collected`: 10,000 members of a committee of 210 fit, which no other message needs."""

SignedDocument = Annotated[bytes, wire.Size(1, 4096)]
"""A head of the registry's, as `signatures.sign` makes it."""
Bulk = Annotated[bytes, wire.Size(0, 2**26)]
Index = wire.U32
CHECK_LIMIT = 2**27
"""Bytes of a `CheckRequest`: 10,000 members and boxes of 8,232 bytes fit, which no other message needs."""


@dataclass(frozen=True, slots=True)
class VolunteerOffer:
    """From a phone to the registry: it offers to be a decryptor, with a fresh X25519 key for this round."""

    ticket: Ticket
    box_key: wire.Bytes32
    signature: wire.Signature

    @property
    def round_key(self) -> bytes:
        """The public key that names this phone in this round."""
        return self.ticket.round_key

    @property
    def leaf(self) -> bytes:
        """The leaf hash in the roster's tree."""
        return leaf_hash(layout(VolunteerOffer).pack_one(self))


@dataclass(frozen=True, slots=True)
class RosterHead:
    """Signed by the registry: all volunteers that it held at the published time, sorted by round key."""

    manifest: wire.Bytes32
    size: wire.U32
    root: wire.Bytes32


@dataclass(frozen=True, slots=True)
class Draw:
    """Signed by the registry: the committee that its stored roster and the coordinator's nonce give.

    `roster` is SHA-256 of the signed roster head, `committee` of the members' records in their order.
    """

    manifest: wire.Bytes32
    roster: wire.Bytes32
    nonce: wire.Bytes32
    committee: wire.Bytes32


@dataclass(frozen=True, slots=True)
class Seat:
    """An organisation's fresh X25519 key for this round, signed with the key that apps pin."""

    box_key: wire.Bytes32
    signature: wire.Signature


@dataclass(frozen=True, slots=True)
class DrawnCommittee:
    """The drawn decryptors, in the order of the draw, with what proves that they were drawn."""

    roster: SignedDocument
    draw: SignedDocument
    members: Annotated[tuple[VolunteerOffer, ...], wire.Records(1, MOST_DECRYPTORS)]


@dataclass(frozen=True, slots=True)
class CommitteeFile:
    """To everyone, the same static file: the round's committees. `seats` are the standing one's."""

    seats: Annotated[tuple[Seat, ...], wire.Records(0, MOST_ORGANISATIONS)]
    drawn: DrawnCommittee | None


@dataclass(frozen=True, slots=True)
class Dealing:
    """To one committee: the sealed shares of decryptors R + 1 to m, end to end, and the dealing's proof."""

    boxes: Bulk
    proof: Annotated[bytes, wire.Size(1, 2**16)]


@dataclass(frozen=True, slots=True)
class Contribution:
    """From a phone: its padded vector, and the shares of the pad's seeds. The one message."""

    ticket: Ticket
    salt: wire.Bytes32
    vector: Annotated[bytes, wire.Size(1, 2**26)]
    dealings: Annotated[tuple[Dealing, ...], wire.Size(1, 2)]
    signature: wire.Signature


@dataclass(frozen=True, slots=True)
class Leaf:
    """A contribution's public part: `body` is the digest of vector and boxes, `proof` that of the proofs."""

    round_key: wire.Bytes32
    salt: wire.Bytes32
    body: wire.Bytes32
    proof: wire.Bytes32

    def pack(self) -> bytes:
        """Return the 128 bytes that the round key signs and the tree holds."""
        return self.round_key + self.salt + self.body + self.proof

    @property
    def hash(self) -> bytes:
        """The leaf hash in the tree of a set."""
        return leaf_hash(self.pack())


LEAF_SIZE = 128
PackedLeaves = Annotated[bytes, wire.Size(LEAF_SIZE, LEAF_SIZE * MOST_MEMBERS, LEAF_SIZE)]
"""Leaves end to end: a thousand of them are packed once for all decryptors."""


def unpack_leaves(packed: bytes) -> list[Leaf]:
    """Return the leaves in their packed form."""
    return [
        Leaf(
            packed[at : at + 32],
            packed[at + 32 : at + 64],
            packed[at + 64 : at + 96],
            packed[at + 96 : at + 128],
        )
        for at in range(0, len(packed), LEAF_SIZE)
    ]


@dataclass(frozen=True, slots=True)
class Entry:
    """What the registry sees of a contribution. `size` is that of the whole message."""

    leaf: Leaf
    ticket: Ticket
    signature: wire.Signature
    size: wire.U32


@dataclass(frozen=True, slots=True)
class CollectedDealings:
    """To one committee: all sealed shares, by decryptor and then by member, and the proofs by member."""

    boxes: Annotated[bytes, wire.Size(0, COLLECTED_LIMIT)]
    proofs: Annotated[bytes, wire.Size(0, COLLECTED_LIMIT)]


@dataclass(frozen=True, slots=True)
class PartialSum:
    """From a node to the coordinator: the sum of its members' padded vectors, 64 bits an entry.

    `units` counts in units of 2^d.
    """

    members: wire.U32
    units: Annotated[bytes, wire.Size(8, 8 * 2**24, 8)]


@dataclass(frozen=True, slots=True)
class Collected:
    """From a node to the coordinator: who contributed, sorted by round key, what they dealt, their sum."""

    entries: Annotated[tuple[Entry, ...], wire.Records(0, MOST_MEMBERS)]
    dealings: Annotated[tuple[CollectedDealings, ...], wire.Size(1, 2)]
    sum: PartialSum


@dataclass(frozen=True, slots=True)
class IncludeRequest:
    """From the coordinator to the registry: the contributions that came, sorted by round key."""

    context: wire.Bytes32
    entries: Annotated[tuple[Entry, ...], wire.Records(1, MOST_MEMBERS)]


@dataclass(frozen=True, slots=True)
class SetHead:
    """Signed by the registry, as included and as final: a set of contributions.

    `context` binds the committees, and `before` is the root of the included set in a final head, 32 zero
    bytes in an included one.
    """

    manifest: wire.Bytes32
    context: wire.Bytes32
    size: wire.U32
    root: wire.Bytes32
    before: wire.Bytes32


@dataclass(frozen=True, slots=True)
class Logged:
    """Where an entry stands in the log: a checkpoint note with its cosignatures, and the inclusion proof."""

    note: Annotated[str, wire.Size(1, LIMIT)]
    index: wire.U64
    proof: ProofHashes


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """To one decryptor: the included set, its boxes (none where its shares are streams), and what the proofs
    give at its point, 12 bytes a member."""

    head: SignedDocument
    logged: Logged
    leaves: PackedLeaves
    boxes: Annotated[bytes, wire.Size(0, CHECK_LIMIT)]
    claims: Annotated[bytes, wire.Size(0, 12 * MOST_MEMBERS)]


@dataclass(frozen=True, slots=True)
class Complaints:
    """From a decryptor: the members, by place in the included set, of whom it has no good share."""

    kind: wire.U32
    decryptor: Index
    root: wire.Bytes32
    members: Annotated[tuple[Index, ...], wire.Records(0, MOST_MEMBERS)]
    signature: wire.Signature


@dataclass(frozen=True, slots=True)
class Grant:
    """Signed by the registry, once for a dealer: one decryptor may show one shared point."""

    manifest: wire.Bytes32
    context: wire.Bytes32
    leaf: wire.Bytes32
    decryptor: Index


@dataclass(frozen=True, slots=True)
class Dealt:
    """What a dealer signed, as far as one decryptor's share needs it: the digests of vector and boxes, that
    decryptor's box (empty where its share is a stream), all proofs, the signature."""

    digests: Annotated[bytes, wire.Size(32, 2**17, 32)]
    box: Annotated[bytes, wire.Size(0, 2**16)]
    proofs: Annotated[bytes, wire.Size(1, 2**17)]
    signature: wire.Signature


@dataclass(frozen=True, slots=True)
class DisputeRequest:
    """To a drawn decryptor: show the point that opens this member's share, if its dealer is at fault."""

    grant: SignedDocument
    logged: Logged
    member: Index
    dealt: Dealt


@dataclass(frozen=True, slots=True)
class DisputeProof:
    """Convicts a dealer before anyone: what it signed, and the point shared with one decryptor."""

    member: Index
    decryptor: Index
    dealt: Dealt
    shown: SharedPoint


@dataclass(frozen=True, slots=True)
class FinalRequest:
    """From the coordinator to the registry: who is left out of the final set, and why."""

    excluded: Annotated[tuple[Index, ...], wire.Records(0, MOST_MEMBERS)]
    complaints: Annotated[tuple[Complaints, ...], wire.Size(0, MOST_DECRYPTORS + MOST_ORGANISATIONS)]
    disputes: Annotated[tuple[DisputeProof, ...], wire.Size(0, MOST_MEMBERS)]


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """To every decryptor: the final set, as the included one without some."""

    head: SignedDocument
    logged: Logged
    excluded: Annotated[tuple[Index, ...], wire.Records(0, MOST_MEMBERS)]


@dataclass(frozen=True, slots=True)
class Opening:
    """From a decryptor: the sum of its shares over exactly the final set, of which `head` is the digest."""

    kind: wire.U32
    decryptor: Index
    head: wire.Bytes32
    sums: Annotated[bytes, wire.Size(4, 4 * 2048, 4)]
    signature: wire.Signature


@dataclass(frozen=True, slots=True)
class Retraction:
    """From a phone to the registry: this round key does not take part. It counts until a set is included."""

    manifest: wire.Bytes32
    ticket: Ticket
    signature: wire.Signature


def document_digest(signed: bytes) -> bytes:
    """Return SHA-256 of a signed document's bytes, by which others name it."""
    return hashlib.sha256(signed).digest()
