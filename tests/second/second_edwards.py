"""Edwards25519 in affine coordinates and Python integers (RFC 8032, 5.1). It takes nothing from Covey."""

import hashlib

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P


def x_of(y, sign):
    """The x of that sign, None where y is not on the curve."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - square) % P:
        return None
    return x if x % 2 == sign else -x % P


def add(left, right):
    (x1, y1), (x2, y2) = left, right
    k = D * x1 * x2 * y1 * y2 % P
    return (
        (x1 * y2 + x2 * y1) * pow(1 + k, -1, P) % P,
        (y1 * y2 + x1 * x2) * pow(1 - k, -1, P) % P,
    )


def negative(point):
    return -point[0] % P, point[1]


def times(scalar, point):
    result = (0, 1)
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point = add(point, point)
        scalar >>= 1
    return result


def little(data):
    return int.from_bytes(data, "little")


def packed(number):
    return number.to_bytes(32, "little")


def encode(point):
    return packed(point[1] | (point[0] & 1) << 255)


def decode(data):
    y = little(data) & (1 << 255) - 1
    return x_of(y, data[31] >> 7), y


def u_of(point):
    return (1 + point[1]) * pow(1 - point[1], -1, P) % P


def scalar_of_hash(*parts):
    return little(hashlib.sha512(b"".join(parts)).digest()) % L


def clamped(secret):
    return little(secret) & ((1 << 254) - 8) | 1 << 254


BASE = (x_of(4 * pow(5, -1, P) % P, 0), 4 * pow(5, -1, P) % P)
_EIGHTH = 2707385501144840649318225287225658788936804267575313519463743609750303402022
SMALL = [times(i, (x_of(_EIGHTH, 0), _EIGHTH)) for i in range(8)]
"""The eight points whose order divides 8."""

SMALL_ENCODINGS = sorted(
    {
        packed(y | sign << 255)
        for _, small in SMALL
        for y in (small, small + P)
        if y < 1 << 255
        for sign in (0, 1)
    }
)
"""Whatever decodes to one of them: with y + p where it fits, and with "minus zero"."""
