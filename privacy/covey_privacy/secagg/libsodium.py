"""Whether PyNaCl is installed with a libsodium that is fit for use.

PyNaCl is optional (`covey[decryptor]`). Decryptors and registries have it. A phone that only contributes
never needs it, so nothing imports it before it is needed.
"""

from __future__ import annotations

import functools

from covey_privacy.errors import MisuseError
from covey_privacy.secagg.curve25519 import BASE

_MIXED_ORDER = bytes.fromhex("9599999999999999999999999999999999999999999999999999999999999999")
"""The base point plus the point of order 2: (-x, -y), of order 2 L."""


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


def require() -> None:
    """Raise MisuseError unless `is_usable`."""
    if not is_usable():
        raise MisuseError(
            "proofs for disputes need PyNaCl 1.6.2 or later, which is not installed: install covey[decryptor]"
        )
