"""X25519's points of low order (RFC 7748, section 6.1): with such a key every shared secret is zero."""

from __future__ import annotations

_PRIME = 2**255 - 19
_OF_ORDER_EIGHT = (
    0x00B8495F16056286FDB1329CEB8D09DA6AC49FF1FAE35616AEB8413B7C7AEBE0,
    0x57119FD0DD4E22D8868E1C58C45C44045BEF839C55B1D0B1248C50A3BC959C5F,
)
_POINTS = (0, 1, *_OF_ORDER_EIGHT, _PRIME - 1, _PRIME, _PRIME + 1)

LOW_ORDER = frozenset((point | top << 255).to_bytes(32, "little") for point in _POINTS for top in (0, 1))
"""The seven points as keys, each with the top bit, which X25519 passes over, clear and set."""
