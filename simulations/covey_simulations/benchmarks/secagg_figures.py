"""The figures of a measured round in one message, by the names that programs read, and their targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from covey_privacy.fixed_records import layout
from covey_privacy.secagg.messages import VolunteerOffer
from covey_privacy.secagg.terms import Kind
from covey_simulations.benchmarks.secagg_parties import CHECKS, Sample, added, medians, with_total
from covey_simulations.benchmarks.secagg_plan import DRAWN, STANDING
from covey_simulations.benchmarks.secagg_round import MeasuredRound

MEMBER_KEYS = 64
"""Bytes of a drawn decryptor's two keys, without its ticket and signature."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure is to be at most, or at least, where a round is of this size; 0 stands for any.

    `full`: where what is compared has a complete graph.
    """

    figure: str
    bound: float
    clients: int = 0
    length: int = 0
    committee: str = ""
    full: bool = False
    at_least: bool = False

    def is_for(self, clients: int, length: int, committee: str, full: bool) -> bool:
        """Say whether the target is set for such a round."""
        return (
            self.clients in (0, clients)
            and self.length in (0, length)
            and self.committee in ("", committee)
            and (full or not self.full)
        )


TARGETS = (
    Target("phone_seconds.total", 0.004, 1000, 1024, STANDING),
    Target("phone_seconds.total", 0.016, 1000, 100_000, STANDING),
    Target("phone_seconds.total", 0.015, 1000, 1024, DRAWN),
    Target("phone_seconds.total", 0.024, 1000, 100_000, DRAWN),
    Target("coordinator_seconds.total", 0.06, 1000, 1024),
    Target("coordinator_seconds.total", 0.40, 1000, 100_000),
    Target("coordinator_seconds.total", 0.7, 10_000, 1024),
    Target("decryptor_seconds.total", 0.15, 1000),
    Target("decryptor_seconds.total", 1.5, 10_000, 1024),
    Target("flower_over_client", 75, 1000, at_least=True),
    Target("flower_over_server", 2500, 100, full=True, at_least=True),
    Target("whole.wall_seconds", 40, 1000, committee=DRAWN),
    Target("whole.wall_seconds", 420, 10_000, committee=DRAWN),
)


def figures(played: MeasuredRound) -> dict[str, Any]:
    """Return seconds by party and part, and bytes."""
    coordinator = medians(played.coordinator.samples)
    checks = with_total({part: coordinator.pop(part) for part in CHECKS if part in coordinator})
    found: dict[str, Any] = {
        "phone_seconds": with_total(medians(played.phone.samples)),
        "phone_first_seconds": with_total(medians(played.first.samples)),
        "coordinator_seconds": {**with_total(coordinator), "verification": checks["total"]},
        "coordinator_verification_seconds": checks,
        **_decryptors(played),
        "registry_seconds": with_total(medians(played.registry.samples)),
    }
    if played.roster:
        found["registry_roster_seconds"] = with_total(played.roster)
    found["bytes"] = _bytes(played)
    return found


def hotspots(played: MeasuredRound) -> dict[str, list[dict[str, Any]]]:
    """Return the functions with the most own seconds of each party, where the round was profiled."""
    kind = played.committees.each[-1].kind
    return {
        "phone": played.phone.hotspots(),
        "coordinator": played.coordinator.hotspots(),
        "registry": played.registry.hotspots(),
        "decryptor_with_box_check": played.checking[kind, True].hotspots(),
        "decryptor_with_box_open": played.opening[kind, True].hotspots(),
    }


def figure_at(found: Mapping[str, Any], path: str) -> float | None:
    """Return the figure at a path of names, None where it was not measured."""
    value: Any = found
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return None if value is None else float(value)


def targets(
    found: Mapping[str, Any], clients: int, length: int, committee: str, full: bool
) -> dict[str, dict[str, Any]]:
    """Return the bound of each measured figure that has one for such a round, and whether it is met."""
    met = {}
    for target in TARGETS:
        value = figure_at(found, target.figure)
        if value is not None and target.is_for(clients, length, committee, full):
            side = "at_least" if target.at_least else "at_most"
            good = value >= target.bound if target.at_least else value <= target.bound
            met[target.figure] = {side: target.bound, "met": good}
    return met


def _decryptors(played: MeasuredRound) -> dict[str, Any]:
    """Return what checking and opening take a decryptor, by committee."""
    found = {}
    for kind, prefix in _committees(played):
        boxed, streams = (_checked_and_opened(played, kind, boxed) for boxed in (True, False))
        found[f"{prefix}decryptor_seconds"] = {
            **with_total(medians([*boxed, *streams])),
            "with_box": with_total(medians(boxed))["total"],
            "without_box": with_total(medians(streams))["total"],
        }
    return found


def _checked_and_opened(played: MeasuredRound, kind: Kind, boxed: bool) -> list[Sample]:
    checking, opening = played.checking[kind, boxed], played.opening[kind, boxed]
    return list(map(added, checking.samples, opening.samples))


def _bytes(played: MeasuredRound) -> dict[str, int]:
    """Return what phone and decryptor send and receive, without manifest and log proofs of the phone."""
    down = len(played.file)
    tickets = sum(each.shape.members for each in played.committees.each if each.kind == Kind.DRAWN)
    found = {
        "phone_up": len(played.messages[0]),
        "phone_down": down - tickets * (layout(VolunteerOffer).size - MEMBER_KEYS),
        "phone_down_with_tickets": down,
    }
    for kind, prefix in _committees(played):
        found[f"{prefix}decryptor_down_with_box"] = played.bytes_down[kind, True]
        found[f"{prefix}decryptor_down_without_box"] = played.bytes_down[kind, False]
        found[f"{prefix}decryptor_up"] = played.bytes_up[kind]
    return found


def _committees(played: MeasuredRound) -> list[tuple[Kind, str]]:
    """Return the kinds of committees, each with what its figures' names begin with where there are two."""
    kinds = [committee.kind for committee in reversed(played.committees.each)]
    return [(kind, "standing_" if place else "") for place, kind in enumerate(kinds)]
