"""Whether PyNaCl is installed with a libsodium that is fit for use, and its verification of signatures.

PyNaCl is optional (`covey[decryptor]`). Decryptors and registries have it. A phone that only contributes
never needs it, so nothing imports it before it is needed.
"""

from __future__ import annotations

import functools

from covey_privacy.errors import MisuseError
from covey_privacy.secagg.curve25519 import BASE

_MIXED_ORDER = bytes.fromhex("9599999999999999999999999999999999999999999999999999999999999999")
"""The base point plus the point of order 2: (-x, -y), of order 2 L."""

_COFACTORED = bytes.fromhex(
    "edc876d6831fd2105d0b4389ca2e283166469289146e2ce06faefe98b22548df"
    "121bdc42910fabccb3f855c3ecc51f7a500067c927aa7eb20f6aae7b5ce6e00a"
)
"""A signature of `_MIXED_ORDER` over b"\\x02" that is good only where the equation has the cofactor."""


@functools.cache
def is_usable() -> bool:
    """Say whether PyNaCl is installed, has Ed25519's group operations and tells prime from mixed order.

    Versions before 1.6.2 take a key plus the point of order 2 for a key of prime order (CVE-2025-69277).
    """
    try:
        from nacl.bindings import crypto_core_ed25519_is_valid_point, has_crypto_core_ed25519
    except ImportError:
        return False
    return (
        has_crypto_core_ed25519
        and crypto_core_ed25519_is_valid_point(BASE)
        and not crypto_core_ed25519_is_valid_point(_MIXED_ORDER)
    )


@functools.cache
def verifies_without_cofactor() -> bool:
    """Say whether `is_usable`, and whether signatures are verified by the equation without the cofactor.

    libsodium's releases up to 1.0.22 do; its development branch does not.
    """
    return is_usable() and not verify(_MIXED_ORDER, b"\x02", _COFACTORED)


def verify(key: bytes, message: bytes, signature: bytes) -> bool:
    """Say whether libsodium takes `signature` for `key`'s over `message`; it takes half of OpenSSL's time."""
    from nacl.bindings import crypto_sign_open
    from nacl.exceptions import BadSignatureError

    try:
        crypto_sign_open(signature + message, key)
    except BadSignatureError:
        return False
    return True


def require() -> None:
    """Raise MisuseError unless `is_usable`."""
    if not is_usable():
        raise MisuseError(
            "proofs for disputes need PyNaCl 1.6.2 or later, which is not installed: install covey[decryptor]"
        )
