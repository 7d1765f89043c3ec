"""Proof that a decryptor shows the point that it shares with a dealer, for disputes in drawn committees.

The decryptor has the box key P = b B, the dealer the round key E. The decryptor shows Z = b E and proves that
log_B(P) = log_E(Z) without telling b (Chaum and Pedersen, "Wallet databases with observers", 1992; made
non-interactive by Fiat and Shamir's transform). Everybody can then derive the key of the dealer's one box.

    k random; A1 = k B, A2 = k E; c = H(context, B, P, E, Z, A1, A2); s = k + c b modulo L
    check: c = H(context, B, P, E, Z, s B - c P, s E - c Z)

The proof is (c, s), 64 bytes: the check recomputes A1 and A2, so no points chosen by the prover are decoded
beside Z. (A1, A2, s) takes 96 bytes, and its one advantage, checking many proofs at once, is of no use here:
at most one proof exists for a dealer.

All points have prime order: with small-order components, Z would be proved only up to such a component.
Secrets pass through libsodium's constant-time functions only (PyNaCl, in the extra `covey[decryptor]`).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass

from covey_privacy import wire
from covey_privacy.errors import MisuseError, PeerError
from covey_privacy.secagg import libsodium
from covey_privacy.secagg.curve25519 import BASE, ORDER
from covey_privacy.secagg.keys import edwards, montgomery, require_round_key

Random = Callable[[int], bytes]

_CHALLENGE = b"covey/1/equality-proof/challenge\0"
_NONCE = b"covey/1/equality-proof/nonce\0"


@dataclass(frozen=True, slots=True)
class SharedPoint:
    """The point Z that a decryptor shares with a dealer, with the proof (c, s) that it is that point."""

    point: wire.Bytes32
    challenge: wire.Bytes32
    response: wire.Bytes32


def prove(box_secret: bytes, round_key: bytes, context: bytes, random: Random = os.urandom) -> SharedPoint:
    """Return the point that the decryptor and the dealer share, with its proof.

    Args:
        box_secret: the decryptor's X25519 private key, 32 bytes.
        round_key: the dealer's Ed25519 public key.
        context: what the proof is for; it verifies for these bytes only.
        random: gives 64 bytes for the nonce k. The secret and the statement are hashed with them, so that
            repeated bytes do not tell the secret (as in RFC 8032, where the nonce is such a hash alone).

    Raises:
        MisuseError: PyNaCl is missing, or a secret or random bytes have a wrong length.
        PeerError: the round key is not a point of prime order (`Rule.KEY_ENCODING`).
    """
    libsodium.require()
    from nacl.bindings import (
        crypto_core_ed25519_scalar_add,
        crypto_core_ed25519_scalar_mul,
        crypto_core_ed25519_scalar_reduce,
        crypto_scalarmult_ed25519_base_noclamp,
        crypto_scalarmult_ed25519_noclamp,
    )

    require_round_key(round_key)
    seed = random(64)
    if len(box_secret) != 32 or len(seed) != 64:
        raise MisuseError(
            f"a box secret of {len(box_secret)} bytes and {len(seed)} random bytes were given; "
            "32 and 64 are expected"
        )
    scalar, box_point = _scalar_of(box_secret)
    point = crypto_scalarmult_ed25519_noclamp(scalar, round_key)
    statement = _statement(context, box_point, round_key, point)
    nonce = crypto_core_ed25519_scalar_reduce(
        hashlib.sha512(_NONCE + scalar + seed + hashlib.sha512(statement).digest()).digest()
    )
    challenge = _challenge(
        statement,
        crypto_scalarmult_ed25519_base_noclamp(nonce),
        crypto_scalarmult_ed25519_noclamp(nonce, round_key),
    )
    response = crypto_core_ed25519_scalar_add(nonce, crypto_core_ed25519_scalar_mul(challenge, scalar))
    return SharedPoint(point, challenge, response)


def verify(box_key: bytes, round_key: bytes, context: bytes, shown: SharedPoint) -> bytes | None:
    """Return the X25519 secret that the two keys share, if the proof holds; None otherwise.

    The secret equals `exchange_key(dealer's secret).exchange(box key)`. A key or point that is malformed or
    not of prime order gives None, because scalar multiplication in libsodium refuses it.

    Args:
        box_key: the decryptor's X25519 public key.
        round_key: the dealer's Ed25519 public key.
        context: as given to `prove`.
        shown: what the decryptor shows.

    Raises:
        MisuseError: PyNaCl is missing.
    """
    libsodium.require()
    from nacl.bindings import (
        crypto_core_ed25519_sub,
        crypto_scalarmult_ed25519_base_noclamp,
        crypto_scalarmult_ed25519_noclamp,
    )

    point, challenge, response = shown.point, shown.challenge, shown.response
    if any(len(part) != 32 for part in (round_key, point, challenge, response)):
        return None
    if int.from_bytes(response, "little") >= ORDER:
        return None  # s + L would be a second proof of the same
    try:
        box_point = edwards(box_key)
        of_base = crypto_core_ed25519_sub(
            crypto_scalarmult_ed25519_base_noclamp(response),
            crypto_scalarmult_ed25519_noclamp(challenge, box_point),
        )
        of_round_key = crypto_core_ed25519_sub(
            crypto_scalarmult_ed25519_noclamp(response, round_key),
            crypto_scalarmult_ed25519_noclamp(challenge, point),
        )
    except (PeerError, RuntimeError):  # libsodium refuses a point, or a scalar is zero
        return None
    statement = _statement(context, box_point, round_key, point)
    return montgomery(point) if _challenge(statement, of_base, of_round_key) == challenge else None


def _scalar_of(box_secret: bytes) -> tuple[bytes, bytes]:
    """Return the scalar b modulo L and the point b B, both negated where b B has sign 1.

    An X25519 public key is u alone, and `edwards` gives it sign 0: b or -b belongs to that point. X25519
    clamps the secret (RFC 7748, section 5); reducing it modulo L changes nothing on points of order L.
    """
    from nacl.bindings import (
        crypto_core_ed25519_scalar_negate,
        crypto_core_ed25519_scalar_reduce,
        crypto_scalarmult_ed25519_base_noclamp,
    )

    clamped = bytes((box_secret[0] & 248, *box_secret[1:31], box_secret[31] & 127 | 64))
    scalar = crypto_core_ed25519_scalar_reduce(clamped + bytes(32))
    point = crypto_scalarmult_ed25519_base_noclamp(scalar)
    sign = point[31] >> 7
    scalar = (scalar, crypto_core_ed25519_scalar_negate(scalar))[sign]
    return scalar, point[:31] + bytes((point[31] & 127,))


def _statement(context: bytes, box_point: bytes, round_key: bytes, point: bytes) -> bytes:
    return len(context).to_bytes(8, "big") + context + BASE + box_point + round_key + point


def _challenge(statement: bytes, of_base: bytes, of_round_key: bytes) -> bytes:
    """Return SHA-512 of the statement and both commitments, as a scalar modulo L."""
    from nacl.bindings import crypto_core_ed25519_scalar_reduce

    return crypto_core_ed25519_scalar_reduce(
        hashlib.sha512(_CHALLENGE + statement + of_base + of_round_key).digest()
    )
