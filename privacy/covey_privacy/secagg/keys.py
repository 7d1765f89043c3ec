"""Round keys and box keys: their checks, their exchange form, and one strict rule for signatures.

A round key is an Ed25519 public key (RFC 8032). It signs, and in its Montgomery form it exchanges secrets
(X25519, RFC 7748), so whoever signed a message knows the secrets that the message's boxes are sealed with.
A box key is an X25519 public key of a decryptor.

- `require_round_key` and `require_box_key` accept canonical encodings of points of prime order only.
- `verify_strict` decides alike on every platform.

    require_round_key(round_key)
    require_box_key(box_key)
    secret = exchange_key(round_secret).exchange(X25519PublicKey.from_public_bytes(box_key))
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from covey_privacy import blind_rsa
from covey_privacy.errors import PeerError
from covey_privacy.protocol_rules import Rule
from covey_privacy.secagg import curve25519, libsodium
from covey_privacy.secagg.curve25519 import ORDER, PRIME

_SIGN = 1 << 255


def montgomery(round_key: bytes) -> bytes:
    """Return the X25519 public key of an Ed25519 public key: u = (1 + y) / (1 - y) modulo p (RFC 7748, 4.1).

    Both signs of x give the same u. Checks only what the map needs; `require_round_key` does the rest.

    Raises:
        PeerError: y is 1, which has no u, or the encoding is not canonical (`Rule.KEY_ENCODING`).
    """
    return montgomery_keys((round_key,))[0]


def montgomery_keys(round_keys: Sequence[bytes]) -> list[bytes]:
    """Return `montgomery` of each key, with one inversion for all of them.

    Raises:
        PeerError: as `montgomery`; the text gives the key's position.
    """
    numerators, denominators, products = [], [], [1]
    for index, round_key in enumerate(round_keys):
        y = int.from_bytes(round_key, "little") & (_SIGN - 1)
        if len(round_key) != 32 or y >= PRIME or y == 1:
            raise PeerError(
                f"round key {index} of {len(round_keys)} has no X25519 form; "
                "32 bytes with y below p and y other than 1 are expected",
                rule=Rule.KEY_ENCODING,
            )
        numerators.append(1 + y)
        denominators.append(1 - y)
        products.append(products[-1] * (1 - y) % PRIME)
    inverse = pow(products.pop(), -1, PRIME)  # of the product of all denominators
    keys = []
    while products:
        u = numerators.pop() * inverse % PRIME * products.pop() % PRIME
        inverse = inverse * denominators.pop() % PRIME
        keys.append(u.to_bytes(32, "little"))
    return keys[::-1]


def exchange_key(secret: bytes) -> X25519PrivateKey:
    """Return the X25519 private key whose public key is `montgomery` of the Ed25519 key made from `secret`.

    Args:
        secret: the 32-byte Ed25519 secret; its SHA-512 begins with the scalar (RFC 8032, section 5.1.5),
            which X25519 clamps in the same way.
    """
    return X25519PrivateKey.from_private_bytes(hashlib.sha512(secret).digest()[:32])


def edwards(box_key: bytes) -> bytes:
    """Return the Edwards encoding, with sign 0, of an X25519 public key.

    The encoding is that of a point only when `require_box_key` accepts the key.

    Raises:
        PeerError: the key is not 32 bytes, not below p, or u = -1, which has no y (`Rule.KEY_ENCODING`).
    """
    u = int.from_bytes(box_key, "little")
    if len(box_key) != 32 or u >= PRIME - 1:
        raise _unsound("box key", box_key)
    return curve25519.edwards_of_montgomery(u)


def require_round_key(key: bytes) -> None:
    """Require a canonical encoding of a point of prime order on edwards25519.

    Raises:
        PeerError: it is anything else, such as a point of small or mixed order (`Rule.KEY_ENCODING`).
    """
    if len(key) != 32 or not _has_prime_order(key):
        raise _unsound("round key", key)


def require_box_key(key: bytes) -> None:
    """Require the canonical u of a point of prime order on curve25519: not of its twist, and not zero.

    X25519 itself accepts every 32 bytes and clears small-order components. A dispute could then not be
    proved, because the proof needs a point of prime order.

    Raises:
        PeerError: it is anything else (`Rule.KEY_ENCODING`).
    """
    if not _has_prime_order(edwards(key)):
        raise _unsound("box key", key)


def verify_strict(key: bytes, message: bytes, signature: bytes) -> bool:
    """Say whether `signature` (R, S) is `key`'s Ed25519 signature over `message`, by one strict rule.

    A signature is good exactly when all of these hold:

    1. `key` encodes y < p canonically, is on the curve, and its order does not divide 8.
    2. R encodes y < p canonically and its order does not divide 8.
    3. S < L.
    4. The bytes of S B - h A are those of R, where h = SHA-512(R, key, message) modulo L
       (the equation without the cofactor).

    OpenSSL alone enforces 3 and 4 but accepts keys and R of small order, and keys with y >= p. libsodium
    enforces all four in its releases up to 1.0.22, and decides 4 where it is installed and does so without
    the cofactor (`libsodium.verifies_without_cofactor`).
    A key of mixed order passes (1); `require_round_key` refuses it. See Chalkias, Garillot and Nikolaenko,
    "Taming the many EdDSAs" (2020).
    """
    if len(key) != 32 or len(signature) != 64:
        return False
    if not all(map(curve25519.has_canonical_large_order, (key, signature[:32]))):
        return False
    if int.from_bytes(signature[32:], "little") >= ORDER:
        return False
    if libsodium.verifies_without_cofactor():
        return libsodium.verify(key, message, signature)
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):  # other libraries than OpenSSL decode the key first: ValueError
        return False
    return True


def verify(key: bytes, message: bytes, signature: bytes) -> bool:
    """Say whether a signature of the round protocol is good: RSA for a ticket, else `verify_strict`."""
    if len(key) != 32:
        return blind_rsa.verify(key, message, signature)
    return verify_strict(key, message, signature)


def _has_prime_order(encoded: bytes) -> bool:
    if not libsodium.is_usable():
        return curve25519.has_prime_order(encoded)
    from nacl.bindings import crypto_core_ed25519_is_valid_point

    return crypto_core_ed25519_is_valid_point(encoded)


def _unsound(kind: str, key: bytes) -> PeerError:
    return PeerError(
        f"the {kind} {key[:8].hex()} ({len(key)} bytes) is not sound; "
        "the canonical 32 bytes of a curve25519 point of prime order are expected",
        rule=Rule.KEY_ENCODING,
    )
