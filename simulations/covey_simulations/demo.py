"""The main job: a shop's year, two private counts, a change of mind between them, and the proof."""

from __future__ import annotations

import logging
import resource
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
from flwr.app import Context, RecordDict
from rich.console import Console

from covey_consent.errors import ConsentRegistryError
from covey_privacy.errors import PrivacyError
from covey_sdk.errors import CoveyError
from covey_server import coordinator, node
from covey_server.errors import CoordinatorError
from covey_server.fleet import PHASES
from covey_server.flower import InProcessGrid
from covey_server.store import Store
from covey_simulations import draw, findings, orders, pool, proof, report, stage, summary
from covey_simulations.clock import Clock
from covey_simulations.errors import RunError, SetupError, SimulationError
from covey_simulations.pool import Pool
from covey_simulations.progress import Progress
from covey_simulations.world import World

__all__ = ["Options", "SetupError", "SimulationError", "main", "run"]

DAY_SECONDS = 86_400
PROFILE = "production"
Q20_SHARE = 0.3
"""Of the whole epsilon, what the medians may spend; the segments get the rest."""
DELTA = 1e-6
GAMMA = DROPOUT = 0.05
TURNOUT = 0.95


@dataclass(frozen=True, slots=True)
class Options:
    """What `covey demo` was asked for; `households` None means all of them."""

    out: Path
    households: int | None = 1000
    epsilon: float = 2.0
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
    except (CoordinatorError, CoveyError, PrivacyError, ConsentRegistryError, OSError) as error:
        raise RunError(str(error)) from error


def run(options: Options, console: Console) -> Path:
    """Run the main job and return where its report is."""
    if not 0 < options.epsilon <= 100:
        raise SetupError(f"--epsilon is {options.epsilon}; a number above 0 and up to 100 was expected")
    started, progress = time.monotonic(), Progress(console)
    with tempfile.TemporaryDirectory(prefix="covey-") as temporary, progress.showing():
        folder = Path(temporary)
        with progress.step("The shop's orders, one file a household", 1):
            households = orders.prepare(folder / "orders", options.seed, options.households)
        stage.require_cohort(households, options.seed, PROFILE)
        clock = Clock.starting(orders.CUT)
        operator = coordinator.operator_key(folder)
        with (
            stage.set_up(
                folder, operator.public, clock, households=households, seed=options.seed,
                profile=PROFILE, epsilon=options.epsilon, delta=DELTA, tickets=1,
            ) as world,
            pool.start(world, options.processes) as phones,
        ):  # fmt: skip
            found = Shop(options, world, phones, clock, progress).play()
        found["seconds"] = round(time.monotonic() - started, 1)
    report.write(found, options.out)
    summary.show(found, console)
    return options.out / "report.html"


@dataclass
class Shop:
    """One run of the main job on a stage that is set up."""

    options: Options
    world: World
    phones: Pool
    clock: Clock
    progress: Progress
    found: dict[str, Any] = field(default_factory=dict)

    def play(self) -> dict[str, Any]:
        """Play the five acts and return the report."""
        everyone, seed = self.world.households, self.options.seed
        grants = {h: draw.grants(seed, h) for h in everyone}
        counted = [h for h in everyone if "analytics" in grants[h]]
        leaving = [h for h in counted if draw.withdraws(seed, h)]
        epsilon = self.options.epsilon
        self._each("Phones enrol; their owners decide", "enrol", everyone)
        kept = self._each("Phones take their orders up", "record", everyone)
        q20 = self._ask("q20", Q20_SHARE * epsilon)
        seen = self._each("Looking at what is true (simulation only)", "look", counted)
        self.found["q20"] = findings.medians(seen, q20)
        self._each("Some withdraw from statistics", "withdraw", leaving)
        self._a_day_later()
        q1 = self._ask("q1", epsilon - Q20_SHARE * epsilon)
        seen = self._each("Looking at what is true (simulation only)", "look", everyone)
        return self._report(grants, kept, seen, [q20, q1], leaving)

    def _each(self, title: str, what: str, households: Sequence[int]) -> list[Any]:
        with self.progress.step(title, len(households)) as done:
            return [item for part in self.phones.each(what, households, done) for item in _listed(part)]

    def _ask(self, query: str, epsilon: float) -> dict[str, Any]:
        """Run the Flower coordinator for one question; return the round's result."""
        config: dict[str, bool | int | float | str] = {
            "queries": f"{query}={epsilon}",
            "epsilon-cap": self.options.epsilon,
            "profile": PROFILE,
            "delta": DELTA,
            "gamma": GAMMA,
            "dropout": DROPOUT,
            "turnout": TURNOUT,
            "phase-timeout": 600.0,
            "state-dir": str(self.world.folder),
            "registry-url": self.world.registry_url,
            "registry-key": self.world.registry_key,
            "fleet": "covey_simulations.pool:connect",
        }
        nodes = {
            number: Context(0, number, {"address": worker.address}, RecordDict(), config)
            for number, worker in enumerate(self.phones.workers, 2)
        }
        with self.progress.step(f"Round {query}, five phases", len(PHASES) * len(nodes)) as done:
            grid = InProcessGrid(node.app, nodes, lambda _phase, _node: done(1))
            coordinator.app(grid, Context(0, 1, {}, RecordDict(), config))
        return self._results()[-1]

    def _results(self) -> list[dict[str, Any]]:
        with closing(Store(self.world.folder / coordinator.STORE)) as store:
            return store.results()

    def _a_day_later(self) -> None:
        """Let the next epoch begin, for the registry and for every phone."""
        self.clock.forward(DAY_SECONDS)
        self.phones.all("forward", DAY_SECONDS)

    def _report(
        self, grants: dict[int, tuple[str, ...]], kept: list[Any], seen: list[Any],
        rounds: list[dict[str, Any]], leaving: list[int],
    ) -> dict[str, Any]:  # fmt: skip
        operator, registry = self.world.trust.operator, self.world.trust.registry
        with httpx.Client(base_url=self.world.registry_url) as client:
            log = proof.check(client, registry, operator, rounds)
        last, q20 = rounds[-1]["round_id"], self.found["q20"]
        after = [phone for phone in findings.contributors(seen, last) if phone["household"] in set(leaving)]
        spent = max(phone["spent"] for phone in seen)
        example = min(findings.contributors(seen, last), key=lambda phone: phone["household"])
        return {
            "version": version("covey"),
            "dataset": orders.DATASET,
            "cut": orders.CUT.isoformat(),
            "seed": self.options.seed,
            "profile": PROFILE,
            "households": len(grants),
            "granted": {"core": len(grants), **findings.granted(grants.values())},
            "granted_nothing": sum(not granted for granted in grants.values()),
            "kept": findings.added(kept),
            "tags": findings.tags(seen),
            "analytics": {"q20": q20, "q1": findings.segments(seen, rounds[-1], q20["truth"])},
            "rounds": [findings.a_round(played) for played in rounds],
            "withdrawn": {"count": len(leaving), "contributions_after": len(after)},
            "epsilon": {
                "per_purpose": {"analytics": spent},
                "per_person_max": spent,
                "cap": self.options.epsilon,
                "delta": DELTA,
            },
            "log": log,
            "ledger": findings.a_ledger(example),
            "example": {"device": f"household {example['household']}", "tags": example["tags"]},
            "sums_checked": all(findings.sum_holds(seen, played) for played in rounds),
            "parameters": {
                "gamma": GAMMA,
                "dropout": DROPOUT,
                "turnout": TURNOUT,
                "shared_operator": True,
                "processes": self.options.processes,
            },
            "peak_memory_mb": round(_peak_megabytes() + sum(self.phones.all("memory")), 1),
        }


def _listed(part: Any) -> list[Any]:
    return part if isinstance(part, list) else [part]


def _peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
