"""What `covey bench secagg` does: play a round in one message, measure it, compare it, print the figures."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console

from covey_privacy.errors import PrivacyError
from covey_simulations.benchmarks import secagg_figures as figures
from covey_simulations.benchmarks.secagg_comparison import (
    FLOWER,
    flower_figures,
    graph,
)
from covey_simulations.benchmarks.secagg_plan import BOTH, DRAWN, STANDING, RoundPlan, plan_round
from covey_simulations.benchmarks.secagg_primitives import primitives
from covey_simulations.benchmarks.secagg_report import show
from covey_simulations.benchmarks.secagg_round import MEASURED, PASSES, MeasuredRound
from covey_simulations.benchmarks.secagg_whole import play_whole_round
from covey_simulations.errors import SetupError, SimulationError
from covey_simulations.progress import Progress

__all__ = ["SecaggOptions", "SetupError", "SimulationError", "measure", "show"]


@dataclass(frozen=True, slots=True)
class SecaggOptions:
    """What `covey bench secagg` was asked for.

    `lost` and `members` size a drawn committee. `full` makes the graph of what is compared complete.
    `profile` asks for hot spots instead of seconds and bytes, `whole` for a whole round in two processes.
    """

    clients: int = 1000
    length: int = 1024
    committee: str = DRAWN
    lost: float = 0.3
    members: int | None = None
    against: tuple[str, ...] = ()
    full: bool = False
    measured: int = MEASURED
    profile: bool = False
    whole: bool = False


def measure(options: SecaggOptions) -> dict[str, Any]:
    """Return the figures. Raises SetupError for a round that cannot be, RunError for a wrong sum."""
    _require_possible(options)
    plan = plan_round(options.clients, options.length, options.committee, options.lost, options.members)
    progress = Progress(Console(stderr=True))
    try:
        with progress.showing():
            found = _whole(plan, progress) if options.whole else _parties(plan, options, progress)
    except PrivacyError as error:
        raise SetupError(str(error)) from None
    found = {**_setting(plan, options), **found}
    bounds = figures.targets(found, options.clients, options.length, options.committee, options.full)
    return {**found, "targets": bounds}


def _require_possible(options: SecaggOptions) -> None:
    if options.committee not in (STANDING, DRAWN, BOTH):
        raise SetupError(f"--committee is {options.committee}; {STANDING}, {DRAWN} or {BOTH} was expected")
    if not options.measured >= 1:
        raise SetupError(f"{options.measured} phones cannot be measured; at least 1 is")
    if bool(options.against) + options.profile + options.whole > 1:
        raise SetupError("--against, --profile and --whole measure different things; give one of them")
    if options.against:
        graph(options.clients, options.full)


def _parties(plan: RoundPlan, options: SecaggOptions, progress: Progress) -> dict[str, Any]:
    """Measure each party, and what they are held against."""
    with progress.step("Phones and volunteers get their tickets", 1):
        passes = 1 if options.profile else PASSES
        played = MeasuredRound(plan, measured=options.measured, passes=passes, profile=options.profile)
        played.make_tickets()
    began = time.monotonic()
    with progress.step("A round in one message", played.steps) as done:
        played.play(done)
    found: dict[str, Any] = {"answering": played.answering, "round_seconds": time.monotonic() - began}
    if options.profile:
        return {**found, "hotspots": figures.hotspots(played)}
    found |= figures.figures(played)
    length = plan.setting.length
    if FLOWER in options.against:
        with progress.step("Flower's functions", 1):
            found |= flower_figures(options.clients, length, options.full, found)
    return {**found, "primitives_seconds": primitives()}


def _whole(plan: RoundPlan, progress: Progress) -> dict[str, Any]:
    return {"whole": play_whole_round(plan, progress)}


def _setting(plan: RoundPlan, options: SecaggOptions) -> Mapping[str, Any]:
    setting = plan.setting
    shapes = {STANDING: setting.standing, DRAWN: setting.drawn}
    return {
        "clients": options.clients,
        "length": options.length,
        "sent_length": setting.length,
        "committee": options.committee,
        "shapes": {
            name: {**asdict(shape), "threshold": shape.threshold} for name, shape in shapes.items() if shape
        },
        "lost": setting.lost,
        "asked_lost": options.lost,
        "gamma": setting.gamma,
        "volunteers": setting.volunteers,
        "drop": setting.drop,
        "steps": setting.steps,
        "measured": min(options.measured, options.clients),
        "load_average": os.getloadavg()[0],
    }
