"""The shape of a committee: how many decryptors, how many may collude, how many may be missing or wrong."""

from __future__ import annotations

from dataclasses import dataclass

from covey_privacy import wire

RING_SIZE = 2048
"""Entries of a long vector's seed, and of the longest vector that is padded entry by entry."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Packed Shamir sharing among `members` decryptors (m).

    Any `privacy` shares (T) tell nothing. Each polynomial carries `packing` secrets (rho), so that
    `threshold` shares (R = T + rho) determine it. Up to `corrects` wrong sums of shares (e) are corrected.
    """

    members: wire.U32
    privacy: wire.U32
    packing: wire.U32
    corrects: wire.U32

    @property
    def threshold(self) -> int:
        """R: how many shares determine a polynomial."""
        return self.privacy + self.packing

    def chunks(self, length: int) -> int:
        """Return C: how many polynomials carry the seed of a vector of `length` entries."""
        return -(-min(length, RING_SIZE) // self.packing)
