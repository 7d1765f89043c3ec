"""What `covey audit` does: play every build of every subject, bound what each gives away, print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from covey_simulations.audit.builds import BUILDS, Build
from covey_simulations.audit.one_run import CONFIDENCE
from covey_simulations.audit.pool import Case, bounds
from covey_simulations.audit.subjects import DELTA, NAMES, subject
from covey_simulations.errors import SetupError, SimulationError
from covey_simulations.progress import Progress

__all__ = ["AuditOptions", "SetupError", "SimulationError", "measure", "row", "show"]

KEPT, BROKEN, UNCLEAR = "kept", "broken", "unclear"


@dataclass(frozen=True, slots=True)
class AuditOptions:
    """What `covey audit` was asked for: how many runs of each of `builds`, and of what (all when empty)."""

    runs: int = 20
    of: Sequence[str] = ()
    builds: Sequence[Build] = BUILDS


def measure(asked: AuditOptions) -> dict[str, Any]:
    """Return the table as JSON values. Raises SetupError when fewer runs than one were asked for."""
    if asked.runs < 1:
        raise SetupError(f"{asked.runs} runs were asked for; at least 1 is needed")
    cases = [(name, build) for name in asked.of or NAMES for build in asked.builds]
    found: dict[Case, list[float]] = {case: [] for case in cases}
    progress = Progress(Console(stderr=True))
    with progress.showing(), progress.step("Runs", asked.runs * len(cases)) as done:
        for case, bound in bounds(cases, asked.runs):
            found[case].append(bound)
            done(1)
    rows = [row(*case, found[case]) for case in cases]
    setting = {"runs": asked.runs, "confidence": CONFIDENCE, "delta": DELTA}
    return {**setting, "builds": rows, "as_expected": all(each["as_expected"] for each in rows)}


def row(name: str, build: Build, found: Sequence[float]) -> dict[str, Any]:
    """Return a row of the table from the lower bounds that a build's runs gave."""
    audited = subject(name)
    claimed = audited.plan.epsilon
    above = sum(bound > claimed for bound in found)
    verdict = {0: KEPT, len(found): BROKEN}.get(above, UNCLEAR)
    return {
        "subject": name,
        "build": build.name,
        "broken_on_purpose": build.broken,
        "canaries": audited.plays * audited.canaries,
        "claimed": claimed,
        "mean": sum(found) / len(found),
        "min": min(found),
        "max": max(found),
        "above": above,
        "verdict": verdict,
        "as_expected": verdict == (BROKEN if build.broken else KEPT),
    }


def show(found: Mapping[str, Any]) -> None:
    """Print the table."""
    title = (
        f"Epsilon at delta {found['delta']:g}: what is claimed, and lower bounds at {found['confidence']:.0%}"
    )
    table = Table(title=title, title_justify="left")
    for column in ("", "build"):
        table.add_column(column)
    for column in ("claim", "mean", "max", "runs above"):
        table.add_column(column, justify="right")
    table.add_column("verdict")
    for each in found["builds"]:
        figures = (f"{each[name]:.2f}" for name in ("claimed", "mean", "max"))
        above = f"{each['above']} of {found['runs']}"
        table.add_row(each["subject"], each["build"], *figures, above, each["verdict"])
    Console().print(table)
