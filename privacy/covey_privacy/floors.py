"""Floors: what a phone takes part for. Enforced by the phone, named in manifest and evidence.

The registry logs no manifest of the production profile below them, and the coordinator plans none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from covey_privacy.errors import MisuseError
from covey_privacy.secagg.terms import LEAST_POOL


@dataclass(frozen=True, slots=True)
class FloorProfile:
    """A named set of floors: the least cohort for each purpose, and for anything else `protocol`.

    `least_cell` is the fewest people that a released cell may count, `least_gamma` the least share of the
    phones with tickets that a round must assume corrupt. `committees` names the committees that a phone takes
    part with, and `least_pool` is the fewest volunteers that a drawn committee which stands alone may come
    from.
    """

    name: str
    protocol: int
    cohorts: Mapping[str, int]
    least_cell: int = 50
    least_gamma: float = 0.05
    committees: frozenset[str] = frozenset({"standing", "drawn", "standing+drawn"})
    least_pool: int = LEAST_POOL

    def least_cohort(self, purpose: str) -> int:
        """Return the smallest set that a round for `purpose` may open the sum of."""
        return max(self.protocol, self.cohorts.get(purpose, 0))

    def floors(self, purpose: str) -> Mapping[str, float]:
        """Return the least that a manifest for `purpose` may state, by the name of its field.

        Its terms have one more: their `least_set` is no less than `least_cohort`.
        """
        return {
            "least_issued": self.least_cohort(purpose),
            "least_cell": self.least_cell,
            "gamma": self.least_gamma,
        }


PRODUCTION = FloorProfile("production", 20, {"analytics": 200, "train": 500})
TEST = FloorProfile("test", 20, {}, least_pool=0)
"""For trying things out: a phone must have been opened with it, and evidence says so."""


def profile(name: str) -> FloorProfile:
    """Return the profile called `name`."""
    for candidate in (PRODUCTION, TEST):
        if candidate.name == name:
            return candidate
    raise MisuseError(f"there is no profile {name!r}; choose production or test")
