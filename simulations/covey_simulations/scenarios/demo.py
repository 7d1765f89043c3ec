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
from covey_privacy.floors import profile
from covey_sdk.errors import CoveyError
from covey_server import coordinator
from covey_server.errors import CoordinatorError
from covey_simulations.data import orders
from covey_simulations.devices import process_pool
from covey_simulations.errors import RunError, SetupError, SimulationError
from covey_simulations.evaluation import run_evaluation
from covey_simulations.progress import Progress
from covey_simulations.report import log_check, pages, run_figures, terminal_summary
from covey_simulations.scenarios import environment, organisation, random_choices, scenario, training
from covey_simulations.scenarios.clock import Clock
from covey_simulations.scenarios.shop import COMMITTEES, GAMMA, LOST, TURNOUT, Budget, Shop

__all__ = ["Options", "SetupError", "SimulationError", "main", "run"]

PROFILE = "production"
_FAILURES = (CoordinatorError, CoveyError, PrivacyError, ConsentRegistryError, httpx.HTTPError, OSError)
"""Whatever the parts of the run raise."""
LEAST_HOUSEHOLDS, MOST_HOUSEHOLDS = 850, 2469
"""About 64 in 100 households allow training: with fewer than the least most draws are below its floor."""
QUESTIONS = 2
"""Q20 and Q1: as many rounds of counting as an epoch needs slots for."""


@dataclass(frozen=True, slots=True)
class Options:
    """What `covey demo` was asked for; `households` None means all of them."""

    out: Path
    households: int | None = 1000
    epsilon: float = 2.0
    train_epsilon: float = 2.0
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
    _require_possible(options)
    started, progress = time.monotonic(), Progress(console)
    with tempfile.TemporaryDirectory(prefix="covey-") as temporary, progress.showing():
        folder = Path(temporary)
        clock = Clock.starting(folder, orders.CUT)
        with progress.step("The shop's orders, one file a household", 1):
            households = orders.prepare_orders(folder / "orders", options.seed, options.households)
        _require_cohorts(households, options)
        operator = coordinator.operator_key(folder)
        caps = environment.shipped_caps({"analytics": options.epsilon, "train": options.train_epsilon})
        if caps != environment.shipped_caps({}):
            console.print(f"The notices of this run allow more than those that the registry ships: {caps}.")
        budget = Budget(options.epsilon, options.train_epsilon, caps.delta, caps)
        slots = max(QUESTIONS, training.training_steps(households, options.seed, options.train_epsilon))
        with (
            environment.set_up_environment(
                folder, operator, clock, households=households, seed=options.seed,
                profile=PROFILE, caps=caps, slots=slots, epoch_days=7,
            ) as world,
            process_pool.start_pool(world, options.processes) as phones,
        ):  # fmt: skip
            played = scenario.play_scenario(Shop(world, phones, clock, progress, budget))
            log = log_check.check_log(world, [each.result for each in run_figures.rounds_of_run(played)])
            check = log_check.check_files(world, log["checkpoint"])
            recommended = run_evaluation.recommender_report(played.learnt, world, budget)
            megabytes = _peak_megabytes() + sum(phones.all("memory"))
    found = {
        **_setting(options),
        **run_figures.findings_of_run(played, budget),
        "recommender": recommended,
        "log": log,
        "seconds": round(time.monotonic() - started, 1),
        "peak_memory_mb": round(megabytes, 1),
    }
    pages.write_report(found, options.out, check)
    terminal_summary.print_summary(found, console)
    return options.out / "report.html"


def _require_possible(options: Options) -> None:
    """Raise SetupError for options that no run can have, before anything runs."""
    for name, epsilon in (("--epsilon", options.epsilon), ("--train-epsilon", options.train_epsilon)):
        if not 0 < epsilon <= 100:
            raise SetupError(f"{name} is {epsilon}; a number above 0 and up to 100 was expected")
    asked = options.households
    if asked is not None and not LEAST_HOUSEHOLDS <= asked <= MOST_HOUSEHOLDS:
        raise SetupError(
            f"--households is {asked}; {LEAST_HOUSEHOLDS} to {MOST_HOUSEHOLDS} was expected: a training "
            f"takes {profile(PROFILE).least_cohort('train')} phones whose owners allow it to the end"
        )
    if options.seed < 0:
        raise SetupError(f"--seed is {options.seed}; a whole number from 0 up was expected")
    pages.require_place(options.out)


def _require_cohorts(households: tuple[int, ...], options: Options) -> None:
    """Raise SetupError where so few would stay that a round falls below a floor."""
    counted = [h for h in households if "analytics" in random_choices.grants(options.seed, h)]
    trained = training.households_that_stay(households, options.seed, options.train_epsilon)
    environment.require_cohort(households, counted, "analytics", PROFILE)
    environment.require_cohort(households, trained, "train", PROFILE)


def _setting(options: Options) -> dict[str, Any]:
    """Return what the run was given."""
    return {
        "version": version("covey"),
        "dataset": orders.DATASET,
        "cut": orders.CUT.isoformat(),
        "seed": options.seed,
        "profile": PROFILE,
        "parameters": {
            "committees": COMMITTEES,
            "organisations": dict.fromkeys(organisation.NAMES, organisation.SEATS),
            "gamma": GAMMA,
            "lost": LOST,
            "turnout": TURNOUT,
            "shared_operator": True,
            "processes": options.processes,
        },
    }


def _peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
