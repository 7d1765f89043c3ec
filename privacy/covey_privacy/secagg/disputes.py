"""Disputes: a drawn decryptor's complaint against a dealer, decided by what the dealer signed.

The registry grants one dispute a dealer. The decryptor shows the point that it shares with that dealer, with
a proof that it is the right one (`equality_proof`), if what the dealer signed is at fault at that point; then
anyone can open the one share and see. An honest dealer signs nothing that is at fault, so nothing of it is
ever shown.
"""

from __future__ import annotations

import hashlib

import numpy as np

from covey_privacy.errors import PeerError, ServerError
from covey_privacy.protocol_rules import Rule
from covey_privacy.secagg import equality_proof
from covey_privacy.secagg.committee import Committee
from covey_privacy.secagg.contribution import statement
from covey_privacy.secagg.dealing import (
    CHECKS,
    CLAIM_SIZE,
    body_digest,
    challenge,
    claims,
    is_good,
    open_share,
    share_key,
)
from covey_privacy.secagg.field import Elements
from covey_privacy.secagg.keys import verify
from covey_privacy.secagg.messages import Dealt, DisputeProof, Leaf
from covey_privacy.secagg.terms import Kind, RoundInfo, digest_of_fields
from covey_privacy.signatures import Verify


def dispute_context(context: bytes, kind: Kind, leaf: Leaf, decryptor: int) -> bytes:
    """Return what the proof of a shared point is bound to."""
    return digest_of_fields(b"covey/2/dispute", context, kind.label, leaf.pack(), decryptor.to_bytes(4))


def check_dealt(
    dealt: Dealt,
    leaf: Leaf,
    committee: Committee,
    decryptor: int,
    info: RoundInfo,
    context: bytes,
    verify: Verify = verify,
) -> None:
    """Raise ServerError unless the dealer signed what is shown of its message."""
    digests = [dealt.digests[start : start + 32] for start in range(0, len(dealt.digests), 32)]
    boxed = decryptor in committee.boxed
    # A drawn committee's boxes come last.
    box = digests[-committee.shape.members - 1 + decryptor :][:1]
    signed = (
        verify(leaf.round_key, statement(info.digest, context, leaf), dealt.signature)
        and len(digests) >= 1 + len(committee.boxed)
        and body_digest(digests) == leaf.body
        and hashlib.sha256(dealt.proofs).digest() == leaf.proof
        and ([hashlib.sha256(dealt.box).digest()] == box if boxed else dealt.box == b"")
    )
    if not signed:
        raise ServerError("the dispute is not over what the dealer signed", rule=Rule.DISPUTE)


def is_at_fault(
    dealt: Dealt,
    leaf: Leaf,
    committee: Committee,
    decryptor: int,
    info: RoundInfo,
    context: bytes,
    key: bytes,
) -> Elements | None:
    """Return the decryptor's C words where what the dealer signed is good, None where the dealer is at fault.

    Args:
        key: what dealer and decryptor share; empty where no secret can be shared.
    """
    shape, length = committee.shape, info.terms.length
    proof = dealt.proofs[-CLAIM_SIZE * shape.threshold :]
    try:
        if not key or len(proof) != CLAIM_SIZE * shape.threshold:
            return None
        share = open_share(committee, context, decryptor, key, dealt.box, length)
        claim = claims(shape, np.frombuffer(proof, np.uint8)[None])[decryptor - 1, 0]
    except PeerError:
        return None
    coefficients = challenge(context, committee.kind, leaf, shape.chunks(length))
    return share[:-CHECKS] if is_good(share, coefficients, claim) else None


def convicts(
    proof: DisputeProof,
    leaf: Leaf,
    committee: Committee,
    info: RoundInfo,
    context: bytes,
    verify: Verify = verify,
) -> bool:
    """Say whether the proof shows, to anyone, that the dealer of `leaf` is at fault."""
    decryptor = proof.decryptor
    if not 1 <= decryptor <= committee.shape.members:
        return False
    try:
        check_dealt(proof.dealt, leaf, committee, decryptor, info, context, verify)
    except ServerError:
        return False
    bound_to = dispute_context(context, committee.kind, leaf, decryptor)
    shared = equality_proof.verify(committee.box_keys[decryptor - 1], leaf.round_key, bound_to, proof.shown)
    if shared is None:
        return False
    key = share_key(shared, context, committee.kind, leaf.round_key, leaf.salt, decryptor)
    return is_at_fault(proof.dealt, leaf, committee, decryptor, info, context, key) is None
