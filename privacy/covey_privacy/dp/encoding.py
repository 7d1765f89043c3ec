"""Vectors as ring elements: rotate, scale, round, and back.

The flattening rotation and the conditional rounding are those of Kairouz, Liu, Steinke 2021, "The Distributed
Discrete Gaussian Mechanism for Federated Learning with Secure Aggregation". Random signs and a
Walsh-Hadamard transform spread each vector over its block, so that the ring need not hold its largest entry
times the number of devices; rounding to a lattice that never exceeds the declared norm keeps the sensitivity.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from covey_privacy.dp.keystream import Random, keystream
from covey_privacy.dp.rotation import BLOCK, hadamard, random_signs
from covey_privacy.errors import MisuseError

MOST_LENGTH = 2**24
MOST_SCALE = 2.0**10
CLIP_MARGIN = 1 - 1e-5
"""Vectors are clipped to a hair less than their norm, so that floating point cannot carry them over it."""
ROUNDING_TRIES = 64
LOG_INVERSE_BETA = 0.5
"""-ln(beta): a rounding is redrawn with probability at most beta = exp(-1/2), 64 in a row below 2^-46."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a round writes float64 vectors [length] of L2 norm <= `norm` as integers modulo 2^bits.

    `scale` is the number of integer steps in one unit of the vector; `seed` is 32 public bytes that fix the
    rotation. Every device of a round uses the same encoding. Raises MisuseError for values out of range.
    """

    length: int
    norm: float
    scale: float
    bits: int
    seed: bytes

    def __post_init__(self) -> None:
        if not 1 <= self.length <= MOST_LENGTH:
            raise MisuseError(f"a vector of {self.length} entries cannot be sent; 1 to {MOST_LENGTH} can")
        if not (0 < self.norm < math.inf and 0 < self.scale < math.inf):
            raise MisuseError(f"norm {self.norm} and scale {self.scale} must be positive and finite")
        if not 2 <= self.bits <= 32:
            raise MisuseError(f"a ring of {self.bits} bits is not served; choose 2 to 32")
        if not 1 <= self.norm * self.scale < 2 ** (self.bits - 1):
            raise MisuseError(
                f"norm {self.norm} at scale {self.scale} is below one step or overflows {self.bits} bits; "
                "take the scale from fit_scale"
            )
        if len(self.seed) != 32:
            raise MisuseError(f"the rotation's seed has {len(self.seed)} bytes; it takes 32")

    @property
    def padded(self) -> int:
        """The length of an encoded vector: blocks of 1,024, the last padded to the next power of two."""
        rest = self.length % BLOCK
        return self.length - rest + (1 << (rest - 1).bit_length() if rest else 0)

    def sensitivity(self) -> tuple[float, float]:
        """Return bounds (Delta_2, Delta_1) on the L2 and L1 norm of an encoded vector, in integer steps.

        They are the sensitivities of a sum when one person's vector is replaced by zeros, which encode to
        zeros. Delta_2 is what rounding keeps to (Kairouz, Liu, Steinke 2021, algorithm 1). Delta_1 follows:
        L1 <= sqrt(entries) L2 for any vector, L1 <= L2^2 for one of integers.
        """
        clip, entries = self.norm * self.scale, self.padded
        root = math.sqrt(entries)
        spread = math.sqrt(2 * LOG_INVERSE_BETA) * (clip + root / 2)
        l2 = min(clip + root, math.sqrt(clip**2 + entries / 4 + spread))
        return l2, l2 * min(root, l2)

    def encode(self, vector: ArrayLike, random: Random = keystream) -> NDArray[np.int64]:
        """Return the vector as int64 [padded], without noise, its L2 norm at most `sensitivity()[0]`.

        It may hold floats, integers or truth values; a longer one is clipped to the norm. Raises MisuseError
        when the shape is not [length] or an entry is not a finite number: such a vector must never leave.
        `random(n)` gives the n secret bytes by which entries are rounded up or down.
        """
        rotated = np.zeros(self.padded)
        np.multiply(self._clipped(vector), self.scale, out=rotated[: self.length])
        rotated *= random_signs(self.seed, self.padded)
        hadamard(rotated)
        return self._rounded(rotated, random)

    def to_ring(self, integers: NDArray[np.int64]) -> NDArray[np.uint32]:
        """Return integers (of any sign) modulo 2^bits, uint32 of the same shape."""
        return (integers & self._mask).astype(np.uint32)

    def decode(self, ring_sum: NDArray[np.uint32]) -> NDArray[np.float64]:
        """Return the sum of vectors that the sum of their ring elements, uint32 [padded], stands for.

        float64 [length], right as long as no entry of the true integer sum leaves [-2^(bits-1), 2^(bits-1)).
        """
        rotated = self.from_ring(ring_sum) / self.scale
        hadamard(rotated)
        return (rotated * random_signs(self.seed, self.padded))[: self.length]

    def from_ring(self, ring_sum: NDArray[np.uint32]) -> NDArray[np.int64]:
        """Return the signed integers, int64 [padded], that ring elements, uint32 [padded], stand for."""
        if ring_sum.shape != (self.padded,):
            raise MisuseError(f"a ring sum of shape {ring_sum.shape} came; expected ({self.padded},)")
        half = 1 << (self.bits - 1)
        return ((ring_sum.astype(np.int64) + half) & self._mask) - half

    @property
    def _mask(self) -> np.int64:
        return np.int64((1 << self.bits) - 1)

    def _clipped(self, vector: ArrayLike) -> NDArray[np.float64]:
        """Return the vector, shortened to the norm."""
        entries = _numbers(vector)
        if entries.shape != (self.length,):
            raise MisuseError(f"a vector of shape {entries.shape} came; this encoding takes ({self.length},)")
        return clipped(entries, self.norm)

    def _rounded(self, scaled: NDArray[np.float64], random: Random) -> NDArray[np.int64]:
        """Round each entry up or down at random until the whole is within the sensitivity, or towards zero.

        A rounding by itself is unbiased to 2^-32 of a step, or to what float64 resolves.
        """
        most = self.sensitivity()[0] ** 2
        for _ in range(ROUNDING_TRIES):
            raised = np.frombuffer(random(4 * self.padded), "<u4", self.padded) * 2.0**-32
            raised += scaled
            integers = np.floor(raised, out=raised).astype(np.int64)
            if int(np.vecdot(integers, integers)) <= most:
                return integers
        return np.trunc(scaled).astype(np.int64)


def clipped(entries: NDArray[np.float64], norm: float) -> NDArray[np.float64]:
    """Return the entries, shortened to a hair less than the norm where they are longer.

    Raises MisuseError when one is not finite: such a vector must never leave.
    """
    peak = float(np.abs(entries).max(initial=0.0))
    if not math.isfinite(peak):
        raise MisuseError("the vector holds NaN or infinity; nothing is sent, mend what computes it")
    if peak == 0:
        return entries
    unit = entries / peak  # lest squares overflow
    # Not np.linalg.norm: it wakes as many threads as there are cores.
    length, most = math.sqrt(np.einsum("i,i", unit, unit)), norm * CLIP_MARGIN
    return entries if peak * length <= most else unit * (most / length)


def fit_scale(norm: float, most_devices: int, sigma: float, bits: int) -> float:
    """Return the largest power of two, at most 2^10, at which a round's sum fits into `bits` bits.

    `most_devices` vectors of the given norm, all along one coordinate and rounded away from zero, plus ten
    standard deviations `sigma` of the total noise (in the vector's units) must stay below 2^(bits-1).
    Raises MisuseError when not even a scale of 1 does.
    """
    scale = MOST_SCALE
    while scale >= 1:
        if most_devices * math.ceil(norm * scale) + 10 * sigma * scale < 2 ** (bits - 1):
            return scale
        scale /= 2
    raise MisuseError(
        f"{most_devices} vectors of norm {norm} with noise {sigma} do not fit into {bits} bits; "
        "use more bits or smaller cohorts"
    )


def _numbers(vector: ArrayLike) -> NDArray[np.float64]:
    """Return real numbers as float64, what float64 does not hold as infinity."""
    try:
        entries = np.asarray(vector)
    except ValueError:
        raise MisuseError("rows of unequal length came; this encoding takes one vector") from None
    if entries.dtype.kind not in "biuf":
        raise MisuseError(f"a vector of {entries.dtype} came; this encoding takes real numbers")
    with np.errstate(over="ignore"):
        return entries.astype(np.float64, copy=False)
