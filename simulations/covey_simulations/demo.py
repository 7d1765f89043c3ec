"""The main job: a shop's year, two private counts, a change of mind between them, and the proof."""

from __future__ import annotations

import logging
import resource
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from covey_consent.errors import ConsentRegistryError
from covey_privacy.errors import PrivacyError
from covey_sdk.errors import CoveyError
from covey_server import coordinator
from covey_server.errors import CoordinatorError
from covey_simulations import (
    acts,
    draw,
    findings,
    learning,
    orders,
    pool,
    proof,
    recommending,
    report,
    stage,
    summary,
)
from covey_simulations.clock import Clock
from covey_simulations.errors import RunError, SetupError, SimulationError
from covey_simulations.progress import Progress
from covey_simulations.shop import DROPOUT, GAMMA, TURNOUT, Budget, Shop

__all__ = ["Options", "SetupError", "SimulationError", "main", "run"]

PROFILE = "production"
_FAILURES = (CoordinatorError, CoveyError, PrivacyError, ConsentRegistryError, httpx.HTTPError, OSError)
"""Whatever the parts of the run raise."""
DELTA = 1e-6
QUESTIONS = 2
"""Q20 and Q1: as many tickets to be counted as a phone needs."""


@dataclass(frozen=True, slots=True)
class Options:
    """What `covey demo` was asked for; `households` None means all of them."""

    out: Path
    households: int | None = 1000
    epsilon: float = 2.0
    train_epsilon: float = 4.0
    seed: int = 1
    processes: int = 2


def main(options: Options) -> Path:
    """Run the main job, with progress on the terminal, and return where its report is.

    Raises SetupError, before anything is written, for what cannot be simulated, and RunError when a part of
    the run fails.
    """
    try:
        logging.getLogger("flwr").setLevel(logging.WARNING)
        return run(options, Console(stderr=True))
    except _FAILURES as error:
        raise RunError(str(error)) from error


def run(options: Options, console: Console) -> Path:
    """Run the main job and return where its report is."""
    for name, epsilon in (("--epsilon", options.epsilon), ("--train-epsilon", options.train_epsilon)):
        if not 0 < epsilon <= 100:
            raise SetupError(f"{name} is {epsilon}; a number above 0 and up to 100 was expected")
    if options.out.exists() and not options.out.is_dir():
        raise SetupError(f"--out is {options.out}, a file; a folder, or a name for one, was expected")
    started, progress = time.monotonic(), Progress(console)
    with tempfile.TemporaryDirectory(prefix="covey-") as temporary, progress.showing():
        folder, clock = Path(temporary), Clock.starting(orders.CUT)
        with progress.step("The shop's orders, one file a household", 1):
            households = orders.prepare(folder / "orders", options.seed, options.households)
        _require_cohorts(households, options)
        operator = coordinator.operator_key(folder)
        budget = Budget(options.epsilon, options.train_epsilon, DELTA)
        tickets = max(QUESTIONS, learning.steps(households, options.seed, options.train_epsilon))
        caps = {"analytics": budget.analytics, "train": budget.train}
        with (
            stage.set_up(
                folder, operator.public, clock, households=households, seed=options.seed,
                profile=PROFILE, epsilon=caps, delta=DELTA, tickets=tickets, epoch_days=7,
            ) as world,
            pool.start(world, options.processes) as phones,
        ):  # fmt: skip
            played = acts.play(Shop(world, phones, clock, progress, budget))
            log = proof.check(world, [each.result for each in findings.rounds(played)])
            recommended = recommending.of(played.learnt, world, budget)
            megabytes = _peak_megabytes() + sum(phones.all("memory"))
    found = {
        **_setting(options),
        **findings.of(played, budget),
        "recommender": recommended,
        "log": log,
        "seconds": round(time.monotonic() - started, 1),
        "peak_memory_mb": round(megabytes, 1),
    }
    report.write(found, options.out)
    summary.show(found, console)
    return options.out / "report.html"


def _require_cohorts(households: tuple[int, ...], options: Options) -> None:
    """Raise SetupError where so few would stay that a round falls below a floor."""
    counted = [h for h in households if "analytics" in draw.grants(options.seed, h)]
    trained = learning.staying(households, options.seed, options.train_epsilon)
    stage.require_cohort(households, counted, "analytics", PROFILE)
    stage.require_cohort(households, trained, "train", PROFILE)


def _setting(options: Options) -> dict[str, Any]:
    """Return what the run was given."""
    return {
        "version": version("covey"),
        "dataset": orders.DATASET,
        "cut": orders.CUT.isoformat(),
        "seed": options.seed,
        "profile": PROFILE,
        "parameters": {
            "gamma": GAMMA,
            "dropout": DROPOUT,
            "turnout": TURNOUT,
            "shared_operator": True,
            "processes": options.processes,
        },
    }


def _peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
