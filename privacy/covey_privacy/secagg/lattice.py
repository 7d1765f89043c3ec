"""How hard the lattice problem behind a long vector's pad is: the cost of the known attacks, computed.

A pad is a sample of ring LWE over Z_q[X]/(X^N + 1) with a uniform secret, q = 2^31 - 2^17 + 1, N = 2048 and
an error of 128 coins less 128 coins (variance 64). The opened sum of the seeds tells the sum of the errors.
One of two errors whose sum is known has a variance of about 32 still. The proof takes the n honest phones one
by one, so an attack may gain a factor n over what is estimated here for one.

Both cost models start from the least block b of BKZ that succeeds:

- core-SVP counts one call of a sieve, 2^(0.292 b);
- the Homomorphic Encryption Standard counts a sieve's constant and all calls, 8 d 2^(0.292 b + 16.4) in
  dimension d. The primal attack comes within 0.4 bits of every row of its table 1 for uniform secrets.

Core-SVP is the more conservative: it gives 93 to 101 bits to rows that the standard calls 128-bit. Figures of
the two models must not be compared with each other.

Sources: E. Alkim, L. Ducas, T. Poeppelmann, P. Schwabe, "Post-quantum key exchange - a new hope", USENIX
Security 2016, section 6 (the attacks, core-SVP); M. Albrecht et al., "Homomorphic Encryption Standard", v1.1,
2018, table 1 (BKZ.sieve); M. Albrecht, R. Player, S. Scott, "On the concrete hardness of learning with
errors", 2015, and its estimator (8 d calls, 16.4).
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from math import e, exp, log, log2, pi, sqrt

from covey_privacy.secagg.field import Q
from covey_privacy.secagg.pads import ERROR_VARIANCE
from covey_privacy.secagg.shape import RING_SIZE

HINTED_VARIANCE = ERROR_VARIANCE / 2
"""Of one of two such errors whose sum is known."""

_SIEVE, _SIEVED = 0.292, 0.2075
"""Bits of a sieve's cost, and of the number of short vectors that it finds, for each dimension of a block."""
_LEAST_BLOCK = 60
"""Below, the formula for the root Hermite factor does not hold."""


@dataclass(frozen=True, slots=True)
class LatticeEstimate:
    """The least BKZ block of the primal and of the dual attack, and what they cost.

    `core_svp_bits` is the cheaper attack by core-SVP. `standard_bits` is the primal attack by the cost model
    of the Homomorphic Encryption Standard, to compare with its tables.
    """

    primal_block: int
    primal_bits: float
    dual_block: int
    dual_bits: float
    standard_bits: float

    @property
    def core_svp_bits(self) -> float:
        """The cost of the cheaper attack."""
        return min(self.primal_bits, self.dual_bits)


def estimate_attacks(dimension: int, modulus: float, deviation: float) -> LatticeEstimate:
    """Return the cost of the known attacks on (ring) LWE with a uniform secret and as many samples as help.

    Args:
        dimension: N, of the secret.
        modulus: q.
        deviation: Standard deviation of an error's entries.
    """
    log_q, blocks = log(modulus), range(_LEAST_BLOCK, 2 * dimension)

    def primal_succeeds(block: int) -> bool:
        """deviation * sqrt(b) <= delta^(2b - d - 1) q^((d - 1 - N) / d), at the best dimension d."""
        slope = _log_root_hermite(block)
        d = _best_dimension(dimension + 1, log_q, slope)
        return (
            log(deviation) + log(block) / 2 <= (2 * block - d - 1) * slope + (1 - (dimension + 1) / d) * log_q
        )

    def dual_bits(block: int) -> float:
        """A vector of length l has advantage exp(-2 (pi l s / q)^2); a sieve gives 2^(0.2075 b) of them."""
        slope = _log_root_hermite(block)
        d = _best_dimension(dimension, log_q, slope)
        log_ratio = d * slope + (dimension / d - 1) * log_q + log(deviation)
        log2_needed = 4 * pi**2 * exp(2 * min(log_ratio, 300)) / log(2)
        return _SIEVE * block + max(0.0, log2_needed - _SIEVED * block)

    primal = blocks[bisect_left(blocks, True, hi=len(blocks) - 1, key=primal_succeeds)]
    dual = min(blocks, key=dual_bits)
    d = _best_dimension(dimension + 1, log_q, _log_root_hermite(primal))
    standard = _SIEVE * primal + 16.4 + log2(8 * d)
    return LatticeEstimate(primal, _SIEVE * primal, dual, dual_bits(dual), standard)


def estimate_pad() -> LatticeEstimate:
    """Return the cost of the known attacks on one honest phone's pad, given the opened sum."""
    return estimate_attacks(RING_SIZE, Q, sqrt(HINTED_VARIANCE))


def _log_root_hermite(block: int) -> float:
    """Return ln(delta) of BKZ with this block: ((pi b)^(1/b) b / (2 pi e))^(1 / (2 (b - 1)))."""
    return (log(pi * block) / block + log(block / (2 * pi * e))) / (2 * (block - 1))


def _best_dimension(dimension: int, log_q: float, slope: float) -> float:
    """Return the d that minimises d ln(delta) + N ln(q) / d: the lattice that suits the attack best."""
    return sqrt(dimension * log_q / slope)
