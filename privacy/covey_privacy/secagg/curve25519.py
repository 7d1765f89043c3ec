"""Curve25519 in Python integers, for public values only: the running time depends on the values.

Two forms of one curve (RFC 7748, section 4.1): Montgomery, where a point is its coordinate u (X25519), and
Edwards, where it is y and the sign of x (Ed25519, RFC 8032). The map between them is u = (1 + y) / (1 - y).
The group has order 8 L with L prime. A key is sound when its point has order L exactly.
"""

from __future__ import annotations

PRIME = 2**255 - 19
"""p: coordinates are integers modulo p."""

ORDER = 2**252 + 27742317777372353535851937790883648493
"""L: the prime order of the base point."""

BASE = bytes.fromhex("5866666666666666666666666666666666666666666666666666666666666666")
"""B: the encoding of Ed25519's base point, y = 4/5."""

_D = -121665 * pow(121666, -1, PRIME) % PRIME
_ROOT_OF_MINUS_ONE = pow(2, (PRIME - 1) // 4, PRIME)
_SIGN = 1 << 255

_Y_OF_ORDER_EIGHT = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_SMALL_ORDER_Y = frozenset({0, 1, PRIME - 1, _Y_OF_ORDER_EIGHT, PRIME - _Y_OF_ORDER_EIGHT})
"""y of the eight points whose order divides 8; none of them has order L."""

Point = tuple[int, int, int, int]
"""Extended coordinates (X, Y, Z, T): x = X / Z, y = Y / Z, x y = T / Z (RFC 8032, section 5.1.4)."""


def has_canonical_large_order(encoded: bytes) -> bool:
    """Say whether 32 bytes encode y canonically (y < p) and y is not that of a point of small order.

    Does not tell whether y is on the curve. "Minus zero", x = 0 with the sign bit set, has y = 1 or y = -1
    and is refused with the points of small order.
    """
    y = int.from_bytes(encoded, "little") & (_SIGN - 1)
    return y < PRIME and y not in _SMALL_ORDER_Y


def has_prime_order(encoded: bytes) -> bool:
    """Say whether 32 bytes are the canonical Edwards encoding of a point of order L.

    Decides like libsodium's `crypto_core_ed25519_is_valid_point` from 1.0.20-stable (2025-12-31) on.
    """
    if not has_canonical_large_order(encoded):
        return False
    point = _decode(encoded)
    if point is None:
        return False
    x, y, z, _ = _multiply(ORDER, point)
    return x == 0 and y == z


def edwards_of_montgomery(u: int) -> bytes:
    """Return the Edwards encoding, with sign 0, of the points with this u. Raises ValueError for u = -1.

    The result is on the Edwards curve exactly when u belongs to the curve and not to its twist.
    """
    return ((u - 1) * pow(u + 1, -1, PRIME) % PRIME).to_bytes(32, "little")


def _decode(encoded: bytes) -> Point | None:
    """Return the point of a canonical encoding, None when y is not on the curve (RFC 8032, section 5.1.3)."""
    number = int.from_bytes(encoded, "little")
    y, sign = number & (_SIGN - 1), number >> 255
    square = (y * y - 1) * pow(_D * y * y + 1, -1, PRIME) % PRIME
    x = pow(square, (PRIME + 3) // 8, PRIME)
    if (x * x - square) % PRIME:
        x = x * _ROOT_OF_MINUS_ONE % PRIME
    if (x * x - square) % PRIME:
        return None
    if x & 1 != sign:
        x = PRIME - x
    return x, y, 1, x * y % PRIME


def _add(left: Point, right: Point) -> Point:
    """Return the sum; the formula is complete, so it doubles as well (RFC 8032, section 5.1.4)."""
    x1, y1, z1, t1 = left
    x2, y2, z2, t2 = right
    a = (y1 - x1) * (y2 - x2) % PRIME
    b = (y1 + x1) * (y2 + x2) % PRIME
    c = 2 * t1 * t2 % PRIME * _D % PRIME
    d = 2 * z1 * z2 % PRIME
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % PRIME, g * h % PRIME, f * g % PRIME, e * h % PRIME


def _multiply(scalar: int, point: Point) -> Point:
    """Return scalar x point by doubling and adding, from the highest bit down."""
    result: Point = (0, 1, 1, 0)
    for bit in bin(scalar)[2:]:
        result = _add(result, result)
        if bit == "1":
            result = _add(result, point)
    return result
