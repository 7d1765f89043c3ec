"""Contributions: the one message of a phone as bytes, its leaf, and what anyone checks of it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from covey_privacy import wire
from covey_privacy.blind_rsa import PREFIX_LENGTH
from covey_privacy.errors import PeerError
from covey_privacy.rules import Rule
from covey_privacy.secagg import pads
from covey_privacy.secagg.committee import Committees
from covey_privacy.secagg.dealing import CLAIM_SIZE, body_digest, body_digests, box_size
from covey_privacy.secagg.keys import verify
from covey_privacy.secagg.messages import CONTRIBUTION, Contribution, Dealing, Entry, Leaf
from covey_privacy.secagg.terms import EVERYONE, RoundInfo, RoundTerms, digest_of_fields
from covey_privacy.signatures import Verify, to_sign
from covey_privacy.tickets import SIGNATURE_LENGTH, Ticket


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many bytes the parts of a round's contributions have; `boxes` and `proofs` by committee."""

    vector: int
    boxes: tuple[tuple[int, int], ...]
    proofs: tuple[int, ...]
    whole: int

    @classmethod
    def of_round(cls, terms: RoundTerms, committees: Committees) -> Sizes:
        """Return the sizes of a round. `boxes` gives for each committee their number and the size of one."""
        vector = pads.packed_size(terms.length, terms.drop)
        boxes = tuple((len(each.boxed), box_size(each.shape, terms.length)) for each in committees.each)
        proofs = tuple(CLAIM_SIZE * each.shape.threshold for each in committees.each)
        dealings = [Dealing(bytes(n * size), bytes(p)) for (n, size), p in zip(boxes, proofs, strict=True)]
        ticket = Ticket(bytes(32), bytes(PREFIX_LENGTH), bytes(SIGNATURE_LENGTH))
        blank = Contribution(ticket, bytes(32), bytes(vector), tuple(dealings), bytes(64))
        return cls(vector, boxes, proofs, len(wire.encode(blank)))


def split_boxes(message: Contribution, sizes: Sizes) -> list[list[bytes]]:
    """Return the boxes of each committee."""
    return [
        [dealing.boxes[start : start + size] for start in range(0, number * size, size)]
        for dealing, (number, size) in zip(message.dealings, sizes.boxes, strict=True)
    ]


def leaf_of(message: Contribution, sizes: Sizes) -> Leaf:
    """Return the leaf of a contribution of the right sizes."""
    boxes = [box for each in split_boxes(message, sizes) for box in each]
    body = body_digest(body_digests(message.vector, boxes))
    return Leaf(message.ticket.round_key, message.salt, body, proofs_digest(message.dealings))


def proofs_digest(dealings: Sequence[Dealing]) -> bytes:
    """Return SHA-256 of the proofs of all committees end to end."""
    return hashlib.sha256(b"".join(dealing.proof for dealing in dealings)).digest()


def statement(digest: bytes, context: bytes, leaf: Leaf) -> bytes:
    """Return what a round key signs; the context binds the committees."""
    return to_sign(CONTRIBUTION, digest + context + leaf.pack())


def read(data: bytes, sizes: Sizes) -> Contribution:
    """Return the contribution in bytes. Raises PeerError unless it has exactly the round's sizes."""
    if len(data) != sizes.whole:
        raise PeerError(
            f"a contribution of {len(data)} bytes came; every one of this round has {sizes.whole}",
            rule=Rule.CONTRIBUTION_SIZE,
        )
    message = wire.decode(Contribution, data)
    found = (
        len(message.vector),
        [len(dealing.boxes) for dealing in message.dealings],
        [len(dealing.proof) for dealing in message.dealings],
    )
    if found != (sizes.vector, [number * size for number, size in sizes.boxes], list(sizes.proofs)):
        raise PeerError("a part of a contribution has another size", rule=Rule.CONTRIBUTION_SIZE)
    return message


def check_entry(entry: Entry, info: RoundInfo, context: bytes, verify: Verify = verify) -> None:
    """Raise PeerError unless ticket, signature and sampling of a contribution are good for the round."""
    if entry.ticket.round_key != entry.leaf.round_key:
        raise PeerError("a leaf names another round key than its ticket", rule=Rule.CONTRIBUTION_SIGNATURE)
    require_sampled(info.terms, context, entry.leaf.round_key)
    entry.ticket.check(info.contribute, verify)
    if not verify(entry.leaf.round_key, statement(info.digest, context, entry.leaf), entry.signature):
        raise PeerError(
            "a contribution is not signed by its ticket's round key", rule=Rule.CONTRIBUTION_SIGNATURE
        )


def require_sampled(terms: RoundTerms, context: bytes, round_key: bytes) -> None:
    """Raise PeerError unless the round samples the key: H(context, round key) is not above the limit."""
    if terms.sample == EVERYONE:
        return
    number = int.from_bytes(digest_of_fields(b"covey/2/sample", context, round_key)[:8])
    if number > terms.sample:
        raise PeerError("the round does not sample this round key", rule=Rule.SAMPLED)
