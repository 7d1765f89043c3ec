"""Contributions: the one message of a phone as bytes, its leaf, and what anyone checks of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from struct import Struct
from typing import Any

import cbor2

from covey_privacy.blind_rsa import PREFIX_LENGTH
from covey_privacy.errors import PeerError
from covey_privacy.protocol_rules import Rule
from covey_privacy.secagg import pads
from covey_privacy.secagg.committee import Committees
from covey_privacy.secagg.dealing import CLAIM_SIZE, body_digest, body_digests, box_size
from covey_privacy.secagg.keys import verify
from covey_privacy.secagg.messages import CONTRIBUTION, Contribution, Dealing, Entry, Leaf
from covey_privacy.secagg.terms import EVERYONE, RoundInfo, RoundTerms, digest_of_fields
from covey_privacy.signatures import Verify, to_sign
from covey_privacy.tickets import SIGNATURE_LENGTH, Ticket

_FIRST_DEALING = 5
"""Parts before the dealings: the ticket's three, salt and vector."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many bytes the parts of a round's contributions have; by committee `boxes`, their number and the
    size of one, and `proofs`.

    Since no size varies, neither do the bytes of CBOR between the parts: `layout` has each part behind the
    `framing` that precedes it, and `dealings` has boxes and proof of each committee alone.
    """

    vector: int
    boxes: tuple[tuple[int, int], ...]
    proofs: tuple[int, ...]
    framing: tuple[bytes, ...]
    layout: Struct
    dealings: Struct

    @property
    def whole(self) -> int:
        """Bytes of a contribution."""
        return self.layout.size

    @classmethod
    def of_round(cls, terms: RoundTerms, committees: Committees) -> Sizes:
        """Return the sizes of a round."""
        vector = pads.packed_size(terms.length, terms.drop)
        boxes = tuple((len(each.boxed), box_size(each.shape, terms.length)) for each in committees.each)
        proofs = tuple(CLAIM_SIZE * each.shape.threshold for each in committees.each)
        blanks = [Dealing(bytes(n * size), bytes(p)) for (n, size), p in zip(boxes, proofs, strict=True)]
        ticket = Ticket(bytes(32), bytes(PREFIX_LENGTH), bytes(SIGNATURE_LENGTH))
        blank = Contribution(ticket, bytes(32), bytes(vector), tuple(blanks), bytes(64))
        parts = list(_parts(blank))
        layout = Struct("".join(f"{len(framing)}s{size}s" for framing, size in parts))
        dealt = range(_FIRST_DEALING, len(parts) - 1)
        dealings = Struct(
            "".join(
                f"{len(framing)}x{size}{'s' if place in dealt else 'x'}"
                for place, (framing, size) in enumerate(parts)
            )
        )
        return cls(vector, boxes, proofs, tuple(framing for framing, _ in parts), layout, dealings)


def _parts(value: Any, before: bytes = b"") -> Iterator[tuple[bytes, int]]:
    """Yield each byte string of a message as CBOR: what is between the one before and it, and its size."""
    if isinstance(value, bytes):
        yield before + cbor2.dumps(value)[: -len(value) or None], len(value)
        return
    values = value if isinstance(value, tuple) else [getattr(value, each.name) for each in fields(value)]
    before += bytes([0x80 + len(values)])
    for each in values:
        yield from _parts(each, before)
        before = b""


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
    """Return the contribution in bytes, read by offset. Raises PeerError for other sizes than the round's."""
    if len(data) != sizes.whole:
        raise PeerError(
            f"a contribution of {len(data)} bytes came; every one of this round has {sizes.whole}",
            rule=Rule.CONTRIBUTION_SIZE,
        )
    found = sizes.layout.unpack(data)
    if found[::2] != sizes.framing:
        raise PeerError("a part of a contribution has another size", rule=Rule.CONTRIBUTION_SIZE)
    round_key, prefix, ticket, salt, vector, *dealings, signature = found[1::2]
    return Contribution(
        Ticket(round_key, prefix, ticket),
        salt,
        vector,
        tuple(map(Dealing, dealings[::2], dealings[1::2])),
        signature,
    )


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
