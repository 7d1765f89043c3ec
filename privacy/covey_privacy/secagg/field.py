"""The field Z_q with q = 2^31 - 2^17 + 1: shares, pads and vectors are arrays of its elements.

Elements are int64 in [0, q), so that a sum of a few hundred million of them fits. 2^17 divides q - 1, which
gives `ntt` its roots of unity. Products are exact: quotients and matrix products run in doubles whose
integers stay below 2^53.
"""

from __future__ import annotations

import hmac

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

from covey_privacy.errors import PeerError
from covey_privacy.protocol_rules import Rule

Q = 2**31 - 2**17 + 1

Elements = NDArray[np.int64]

_WORD = 0x7FFFFFFF
_SPARE = 8
"""One word of a stream in 2^14 is not below q and dropped: 1 in 1,024, and this many, are read to spare."""
_LIMB = 11
_INNER = 2**11
"""31 + 11 + 11 bits: this many products of an element with a limb of `_LIMB` bits sum up below 2^53."""


def add(a: Elements, b: Elements) -> Elements:
    """Return a + b mod q."""
    total = a + b
    total -= Q
    total += (total >> 63) & Q
    return total


def subtract(a: Elements, b: Elements) -> Elements:
    """Return a - b mod q."""
    difference = a - b
    difference += (difference >> 63) & Q
    return difference


def multiply(a: Elements, b: Elements) -> Elements:
    """Return a * b mod q, entry by entry.

    The quotient is estimated in doubles and is at most one off, which the last three steps correct.
    """
    product = a * b - (a.astype(np.float64) * b * (1.0 / Q)).astype(np.int64) * Q
    product += (product >> 63) & Q
    product -= Q
    product += (product >> 63) & Q
    return product


def matrix_product(a: Elements, b: Elements) -> Elements:
    """Return a @ b mod q: `a` as doubles of 31 bits, `b` in three limbs of 11 bits.

    Args:
        a: shape (rows, inner), or a stack of such matrices.
        b: shape (inner, columns), or as many of such.
    """
    if a.shape[-1] > _INNER:
        first = matrix_product(a[..., :_INNER], b[..., :_INNER, :])
        return add(first, matrix_product(a[..., _INNER:], b[..., _INNER:, :]))
    wide = a.astype(np.float64)
    total = np.zeros((*a.shape[:-1], b.shape[-1]), np.int64)
    for shift in (2 * _LIMB, _LIMB, 0):
        limb = ((b >> shift) & ((1 << _LIMB) - 1)).astype(np.float64)
        total = ((total << _LIMB) + (wide @ limb).astype(np.int64)) % Q
    return total


def inverse(a: int) -> int:
    """Return 1 / a mod q."""
    return pow(a, -1, Q)


def solve(matrix: Elements, right: Elements) -> Elements | None:
    """Return one solution x of `matrix` x = `right` mod q, or None. Shapes (rows, columns), (rows,)."""
    rows, columns = matrix.shape
    table = np.hstack([matrix, right[:, None]]) % Q
    pivots: list[int] = []
    for column in range(columns):
        row = len(pivots)
        candidates = np.flatnonzero(table[row:, column])
        if row == rows or not len(candidates):
            continue
        pivot = row + int(candidates[0])
        table[[row, pivot]] = table[[pivot, row]]
        table[row] = multiply(table[row], np.array(inverse(int(table[row, column]))))
        others = np.flatnonzero(table[:, column])
        others = others[others != row]
        table[others] = subtract(table[others], multiply(table[others, column][:, None], table[row]))
        pivots.append(column)
    if np.any(table[len(pivots) :, -1]):
        return None
    solution = np.zeros(columns, np.int64)
    solution[pivots] = table[: len(pivots), -1]
    return solution


def keystream(key: bytes, size: int) -> bytes:
    """Return `size` bytes of the AES-256-CTR stream of `key`, whose counter begins at 0.

    A key is used for one stream.
    """
    return Cipher(algorithms.AES256(key), modes.CTR(bytes(16))).encryptor().update(bytes(size))


def uniform_elements(key: bytes, count: int) -> Elements:
    """Return the first `count` elements of the stream of `key`.

    The stream is read as little-endian words whose highest bit is cleared; a word that is not below q is
    dropped.
    """
    read = count + count // 1024 + _SPARE
    words = _words(key, read)
    if int(words[:count].max(initial=0)) < Q:
        return words[:count].astype(np.int64)
    kept = words[words < Q]
    while len(kept) < count:
        read += _SPARE + read // 64
        words = _words(key, read)
        kept = words[words < Q]
    return kept[:count].astype(np.int64)


def _words(key: bytes, count: int) -> NDArray[np.uint32]:
    return np.frombuffer(keystream(key, 4 * count), "<u4") & np.uint32(_WORD)


def derive(secret: bytes, info: bytes) -> bytes:
    """Return 32 bytes of HKDF-SHA256 (RFC 5869) without a salt, in two HMACs: one block is all it gives."""
    extracted = hmac.digest(bytes(32), secret, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


def to_bytes(elements: Elements) -> bytes:
    """Return elements as little-endian words of 32 bits."""
    return elements.astype("<u4").tobytes()


def require_elements(data: bytes) -> None:
    """Raise PeerError unless the bytes are words of field elements."""
    if len(data) % 4 or int(np.frombuffer(data, "<u4").max(initial=0)) >= Q:
        raise PeerError("words of field elements were expected; one is not below q", rule=Rule.MESSAGE_FORM)


def centred(elements: Elements) -> Elements:
    """Return each element as the integer of least magnitude that it stands for."""
    return np.where(elements > Q // 2, elements - Q, elements)
