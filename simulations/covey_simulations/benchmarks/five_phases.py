"""What `covey bench five-phases` does: play, measure, print."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from covey_privacy.errors import PrivacyError
from covey_simulations.benchmarks.five_phases_cohort import enrol
from covey_simulations.benchmarks.five_phases_round import MEASURED, PASSES, Round, figures
from covey_simulations.benchmarks.hotspots import hotspots
from covey_simulations.errors import SetupError, SimulationError
from covey_simulations.progress import Progress

__all__ = ["Asked", "SetupError", "SimulationError", "measure", "show"]

DELTA = 0.1
"""The share of devices that the graph bears dropping out."""
PHASES = 5


@dataclass(frozen=True, slots=True)
class Asked:
    """What `covey bench five-phases` was asked for; `gamma` and DELTA size the graph, `dropout` happens.

    `measured` devices check everything themselves and are timed; `profile` asks for hot spots instead of
    primitives.
    """

    clients: int = 1000
    length: int = 100_000
    dropout: float = 0.05
    gamma: float = 0.1
    full: bool = False
    against: str | None = None
    measured: int = MEASURED
    profile: bool = False


def measure(asked: Asked) -> dict[str, Any]:
    """Return the figures. Raises SetupError for a round that cannot be, RunError for a wrong sum."""
    if not (asked.clients >= 2 and 1 <= asked.length <= 2**24 and 0 <= asked.dropout <= DELTA):
        raise SetupError(
            f"at least 2 clients, 1 to {2**24} entries and a dropout of 0 to {DELTA} are possible"
        )
    if not 0 <= asked.gamma < 1:
        raise SetupError(f"--gamma is {asked.gamma}; a share from 0 up to, but not, 1 was expected")
    if not asked.measured >= 1:
        raise SetupError(f"{asked.measured} devices cannot be measured; at least 1 is")
    progress = Progress(Console(stderr=True))
    try:
        with progress.showing():
            with progress.step("Devices get their tickets", 1):
                cohort = enrol(asked.clients, asked.length, asked.gamma, DELTA, asked.full)
            with progress.step("A round, five phases", PHASES * asked.clients) as done:
                passes = 1 if asked.profile else PASSES
                played = Round(cohort, asked.dropout, done, asked.measured, not asked.profile, passes)
                began = time.monotonic()
                with hotspots(asked.profile) as hot:
                    played.play()
                seconds = time.monotonic() - began
            found = {"round_seconds": seconds, **figures(played)}
            if hot:
                found["hotspots"] = hot
            if asked.against:
                with progress.step("Flower's functions", 1):
                    found.update(_flower(asked, found))
    except PrivacyError as error:
        raise SetupError(str(error)) from None
    measured = min(asked.measured, asked.clients)
    setting = {
        "clients": asked.clients,
        "length": asked.length,
        "dropout": asked.dropout,
        "measured": measured,
    }
    return {**setting, "gamma": asked.gamma, "delta": DELTA, **found}


def _flower(asked: Asked, ours: Mapping[str, Any]) -> dict[str, Any]:
    # Not at the top: Flower takes longer to import than most rounds to play.
    from covey_simulations.benchmarks.flower import SERVED, Flower

    theirs = Flower(ours["degree"], ours["threshold"], asked.length)
    dropped = round(asked.dropout * asked.clients)
    client, server = theirs.client(), theirs.server(asked.clients - dropped, dropped)
    total = {"client": sum(client.values()), "server": sum(server.values())}
    return {
        "flower_client_seconds": {**client, "total": total["client"]},
        "flower_server_seconds": {**server, "total": total["server"]},
        "flower_server_from": SERVED,
        "flower_over_client": total["client"] / ours["client_seconds"]["total"],
        "flower_over_server": total["server"] / ours["server_seconds"]["total"],
    }


def show(found: Mapping[str, Any]) -> None:
    """Print the figures as tables, the ratios last."""
    console = Console()
    console.print(
        f"{found['clients']} devices, {found['length']} entries, degree {found['degree']}, "
        f"threshold {found['threshold']}, {found['dropout']:.0%} drop out; "
        f"{found['measured']} are measured, the round took {found['round_seconds']:.1f} s"
    )
    for name, values in found.items():
        if isinstance(values, dict):
            console.print(_table(name.replace("_", " "), values))
    if "hotspots" in found:
        own = {each["function"]: each["seconds"] for each in found["hotspots"]}
        console.print(_table("hot spots, own seconds", own))
    ratios = {name: value for name, value in found.items() if "_over_" in name}
    if ratios:
        console.print(_table("ratios", ratios))


def _table(title: str, values: Mapping[str, float]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("", min_width=16)
    table.add_column("", justify="right")
    for name, value in values.items():
        table.add_row(name.replace("_", " "), f"{value:,.0f}" if "bytes" in title else f"{value:.4g}")
    return table
