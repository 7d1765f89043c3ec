"""Dealing: a phone shares the seed of its pad among a committee, and proves that the shares fit together.

The shares of decryptors 1 to R are streams of the keys that they share with the phone. These R determine the
polynomials, so the seed is never chosen; the shares of the other m - R are sealed and sent. C polynomials
carry the seed and three more blind the proof.

The proof is a low-degree test made non-interactive (Fiat and Shamir): for three rows r of random
coefficients, the values of P = sum of r_c F_c + B at 1 to R. A decryptor compares P at its own point with
its shares. A dealer whose shares lie on no polynomials passes with chance q^-3 = 2^-93 a try.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from numpy.typing import NDArray

from covey_privacy.errors import PeerError
from covey_privacy.protocol_rules import Rule
from covey_privacy.secagg.committee import Committee
from covey_privacy.secagg.field import Elements, Q, add, derive, matrix_product, to_bytes, uniform_elements
from covey_privacy.secagg.messages import Leaf
from covey_privacy.secagg.packed_shamir import complete, shares_of
from covey_privacy.secagg.shape import Shape
from covey_privacy.secagg.terms import Kind, digest_of_fields

CHECKS = 3
"""Rows of random coefficients, and blinding polynomials."""
CLAIM_SIZE = 4 * CHECKS
TAG_SIZE = 16

_NONCE = bytes(12)
_PROOFS = 256
"""Proofs worked out at a time: their products stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class DealtShares:
    """What a phone dealt to one committee: the shares that are streams, shape (R, C + 3), the seed that they
    determine, shape (C * rho,), and the sealed shares of the other decryptors."""

    first: Elements
    seed: Elements
    boxes: tuple[bytes, ...]


def columns(shape: Shape, length: int) -> int:
    """Return how many polynomials a dealing has, the blinding ones included."""
    return shape.chunks(length) + CHECKS


def box_size(shape: Shape, length: int) -> int:
    """Return the bytes of a sealed share."""
    return 4 * columns(shape, length) + TAG_SIZE


def share_key(
    shared: bytes, context: bytes, kind: Kind, round_key: bytes, salt: bytes, decryptor: int
) -> bytes:
    """Return the key of one phone and one decryptor, from their X25519 secret; used for this once."""
    return derive(shared, context + kind.label + round_key + salt + decryptor.to_bytes(4))


def deal(
    committee: Committee,
    context: bytes,
    exchange: X25519PrivateKey,
    round_key: bytes,
    salt: bytes,
    length: int,
) -> DealtShares:
    """Share a seed among a committee.

    Args:
        exchange: the round key's secret in X25519 form (`keys.exchange_key`).
        salt: fresh; a second dealing under the same keys and salt would be a two-time pad.
        length: entries of the vector that the seed's pad is for.

    Raises:
        PeerError: a box key is of low order.
    """
    shape, kind = committee.shape, committee.kind
    keys: list[bytes] = []
    for decryptor, box_key in enumerate(committee.box_keys, 1):
        try:
            shared = exchange.exchange(X25519PublicKey.from_public_bytes(box_key))
        except ValueError:
            raise PeerError(
                f"the box key of decryptor {decryptor} is of low order; no secret can be shared with it",
                rule=Rule.LOW_ORDER_KEY,
            ) from None
        keys.append(share_key(shared, context, kind, round_key, salt, decryptor))
    width = columns(shape, length)
    first = np.stack([uniform_elements(key, width) for key in keys[: shape.threshold]])
    secrets, rest = complete(shape, first)
    associated = context + kind.label
    boxes = tuple(
        AESGCM(key).encrypt(_NONCE, to_bytes(share), associated)
        for key, share in zip(keys[shape.threshold :], rest, strict=True)
    )
    return DealtShares(first, np.ascontiguousarray(secrets[:, :-CHECKS].T).reshape(-1), boxes)


def open_share(
    committee: Committee, context: bytes, decryptor: int, key: bytes, box: bytes, length: int
) -> Elements:
    """Return a decryptor's share, shape (C + 3,): the stream of `key`, or what `box` holds.

    Raises:
        PeerError: the box does not open, or holds something else than a share.
    """
    width = columns(committee.shape, length)
    if decryptor <= committee.shape.threshold:
        return uniform_elements(key, width)
    try:
        opened = AESGCM(key).decrypt(_NONCE, box, context + committee.kind.label)
    except (InvalidTag, ValueError):
        raise PeerError("a sealed share does not open", rule=Rule.BOX) from None
    if len(opened) != 4 * width:
        raise PeerError("a sealed share has another length", rule=Rule.BOX)
    share = np.frombuffer(opened, "<u4").astype(np.int64)
    if int(share.max()) >= Q:
        raise PeerError("a sealed share holds what is no field element", rule=Rule.BOX)
    return share


def body_digest(digests: Sequence[bytes]) -> bytes:
    """Return D from SHA-256 of the vector and of each box, the standing committee's boxes first."""
    return digest_of_fields(*digests)


def body_digests(vector: bytes, boxes: Sequence[bytes]) -> list[bytes]:
    """Return SHA-256 of the vector and of each box."""
    return [hashlib.sha256(vector).digest(), *[hashlib.sha256(box).digest() for box in boxes]]


def challenge(context: bytes, kind: Kind, leaf: Leaf, chunks: int) -> Elements:
    """Return the coefficients r, shape (3, C): they depend on vector and boxes, which are fixed before."""
    seed = digest_of_fields(b"covey/2/challenge", context, kind.label, leaf.round_key, leaf.salt, leaf.body)
    return uniform_elements(seed, CHECKS * chunks).reshape(CHECKS, chunks)


def prove(first: Elements, coefficients: Elements) -> bytes:
    """Return the proof: the three polynomials P at 1 to R, as R * 3 words of 32 bits."""
    return to_bytes(values_of(first, coefficients))


def values_of(shares: Elements, coefficients: Elements) -> Elements:
    """Return what the polynomials P must give at each share, shape (rows, 3)."""
    return add(matrix_product(shares[:, :-CHECKS], coefficients.T), shares[:, -CHECKS:])


def is_good(share: Elements, coefficients: Elements, claim: Elements) -> bool:
    """Say whether a share fits what the proof gives at its decryptor's point, shape (3,)."""
    return bool(are_good(share[None], coefficients[None], claim[None])[0])


def are_good(shares: Elements, coefficients: Elements, claims: Elements) -> NDArray[np.bool_]:
    """Say of each dealer's share whether it fits what the dealer's proof gives at this decryptor's point.

    Args:
        shares: shape (dealers, C + 3).
        coefficients: of each dealer's challenge, shape (dealers, 3, C).
        claims: shape (dealers, 3).
    """
    body, blinding = shares[:, :-CHECKS], shares[:, -CHECKS:]
    values = add(matrix_product(coefficients, body[:, :, None])[:, :, 0], blinding)
    good: NDArray[np.bool_] = (values == claims).all(axis=1)
    return good


def claims(shape: Shape, proofs: NDArray[np.uint8]) -> Elements:
    """Return what proofs give at each decryptor's point, shape (m, proofs, 3).

    Args:
        proofs: the bytes of each, shape (proofs, 12 R).

    Raises:
        PeerError: a proof holds what is no field element.
    """
    first = np.frombuffer(proofs.tobytes(), "<u4").astype(np.int64)
    if len(first) and int(first.max()) >= Q:
        raise PeerError("a proof holds what is no field element", rule=Rule.SHARE_PROOF)
    first = first.reshape(len(proofs), shape.threshold, CHECKS)
    values = np.empty((shape.members, len(proofs), CHECKS), np.int64)
    for at in range(0, len(proofs), _PROOFS):
        rows = first[at : at + _PROOFS].transpose(1, 0, 2)
        values[:, at : at + _PROOFS] = shares_of(shape, rows.reshape(shape.threshold, -1)).reshape(
            shape.members, -1, CHECKS
        )
    return values
