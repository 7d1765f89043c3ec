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


@dataclass(frozen=True, slots=True)
class Band:
    least_volunteers: wire.U32
    most_volunteers: wire.U32
    shape: Shape


def corrupt_phones(gamma, issued, sample=1.0):
    return int(gamma * issued)


def require_shape(shape, volunteers, corrupt, lost): ...
def require_standing(shape): ...
def shape_for(bands, volunteers):
    return next(b.shape for b in bands if b.least_volunteers <= volunteers <= b.most_volunteers)


def standing_shape(members=4, privacy=1):
    return Shape(members, privacy, 1, (members - privacy - 1) // 2)
