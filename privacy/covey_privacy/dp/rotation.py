"""The rotation that spreads a vector over its blocks: public random signs and a Walsh-Hadamard transform."""

from __future__ import annotations

import functools
import hashlib
import math

import numpy as np
from numpy.typing import NDArray

BLOCK = 1024


def random_signs(seed: bytes, count: int) -> NDArray[np.int8]:
    """Return `count` public random signs, +1 or -1, from SHAKE-256 of the seed."""
    stream = hashlib.shake_256(b"covey/1/rotation\0" + seed).digest((count + 7) // 8)
    bits = np.unpackbits(np.frombuffer(stream, dtype=np.uint8), count=count)
    return 1 - 2 * bits.view(np.int8)


def hadamard(vector: NDArray[np.float64]) -> None:
    """Apply the orthonormal Walsh-Hadamard transform, its own inverse, to each block in place."""
    whole = len(vector) - len(vector) % BLOCK
    for blocks, size in ((vector[:whole], BLOCK), (vector[whole:], len(vector) - whole)):
        if len(blocks):
            _transform(blocks.reshape(-1, size))


def _transform(blocks: NDArray[np.float64]) -> None:
    """Transform each row of [rows, power of two] in place, as a matrix X: H_ab x is H_a X H_b.

    The products are small enough for each to stay on one thread and in the processor's cache.
    """
    size = blocks.shape[1]
    left = 1 << (size.bit_length() // 2)
    matrices = blocks.reshape(-1, left, size // left)
    np.matmul(_sylvester(left), matrices @ _sylvester(size // left), out=matrices)
    blocks /= math.sqrt(size)


@functools.cache
def _sylvester(size: int) -> NDArray[np.float64]:
    """Return Sylvester's Hadamard matrix [size, size], of +1 and -1, for a power of two up to 32."""
    matrix = np.ones((1, 1))
    while len(matrix) < size:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    matrix.setflags(write=False)
    return matrix
