"""Builds: as shipped, and broken on purpose. The harness breaks them; no switch in the product does."""

from __future__ import annotations

from dataclasses import dataclass

GREED = 10.0
"""How many times the norm a canary tries to add."""


@dataclass(frozen=True, slots=True)
class Build:
    """How a build strays from the shipped one; the defaults do not.

    Devices add `noise` times the standard deviation of the plan, and clip to `clip` times the norm; with
    `reused` each takes its noise from the same random bytes in every step; a person takes part in `times`
    plans for one charge.
    """

    name: str
    noise: float = 1.0
    clip: float = 1.0
    reused: bool = False
    times: int = 1

    @property
    def broken(self) -> bool:
        """Whether the build must be caught."""
        return self != Build(self.name)


BUILDS = (
    Build("as shipped"),
    Build("a tenth of the noise", noise=0.1),
    Build("no clipping", clip=GREED),
    Build("the same noise in every step", reused=True),
    Build("no odometer", times=73),
)
"""No odometer: a plan every five days for a year, and one charge; sqrt(73) is 8.5 times the signal."""
