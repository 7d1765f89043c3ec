"""UUIDs of version 7 (RFC 9562, 5.7): later ones sort later, so that an index grows at its end."""

from __future__ import annotations

import secrets

_VERSION, _VARIANT = 0x7 << 76, 0b10 << 62
_RANDOM = 2**76 - 1 ^ 0b11 << 62
"""The bits that are neither time, version nor variant."""


def uuid7(milliseconds: int) -> str:
    """Return a UUID made at this time (Unix milliseconds), of 74 random bits."""
    value = milliseconds << 80 | _VERSION | _VARIANT | secrets.randbits(80) & _RANDOM
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
