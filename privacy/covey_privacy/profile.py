"""Floors: the least that a phone takes part for. Enforced by the phone, named in manifest and evidence.

The registry logs no manifest of the production profile that states less.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from covey_privacy.errors import MisuseError


@dataclass(frozen=True, slots=True)
class Profile:
    """A named set of floors: the least cohort for each purpose, and for anything else `protocol`.

    `least_cell` is the fewest people that a released cell may count, `least_gamma` the least share of a
    roster that a round must assume corrupt.
    """

    name: str
    protocol: int
    cohorts: Mapping[str, int]
    least_cell: int = 50
    least_gamma: float = 0.05

    def least_cohort(self, purpose: str) -> int:
        """Return the smallest roster that a round for `purpose` may have."""
        return max(self.protocol, self.cohorts.get(purpose, 0))

    def floors(self, purpose: str) -> Mapping[str, float]:
        """Return the least that a manifest for `purpose` may state, by the name of its field."""
        least = self.least_cohort(purpose)
        return {
            "least_cohort": least,
            "least_issued": least,
            "least_cell": self.least_cell,
            "gamma": self.least_gamma,
        }


PRODUCTION = Profile("production", 20, {"analytics": 200, "train": 500})
TEST = Profile("test", 20, {})
"""For trying things out: a phone must have been opened with it, and evidence says so."""


def profile(name: str) -> Profile:
    """Return the profile called `name`."""
    for candidate in (PRODUCTION, TEST):
        if candidate.name == name:
            return candidate
    raise MisuseError(f"there is no profile {name!r}; choose production or test")
