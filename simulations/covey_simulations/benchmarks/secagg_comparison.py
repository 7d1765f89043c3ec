"""What a round in one message is held against: Flower's SecAgg+ and the five phases, in the same run.

Flower's functions run with as many neighbours as the five phases have for the same number of phones, which is
also what they are measured with by `covey bench five-phases`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from covey_privacy.five_phases.graph import parameters
from covey_simulations.benchmarks.five_phases_cohort import enrol
from covey_simulations.benchmarks.five_phases_round import Round
from covey_simulations.benchmarks.five_phases_round import figures as figures_of_phases

FLOWER, FIVE_PHASES = "flower", "five-phases"
CORRUPT = DROPPED = 0.1
"""Shares that the graph bears: of corrupt devices, and of devices that drop out."""
DROPOUT = 0.05
"""The share that does drop out."""
PHASES = 5


def flower_figures(clients: int, length: int, full: bool, ours: Mapping[str, Any]) -> dict[str, Any]:
    """Return the seconds of Flower's functions, and how often ours go into them.

    Ours include the noise, and checks of every ticket and key; Flower's clients do neither.

    Args:
        full: every device is every other's neighbour.
        ours: figures of the round in one message.
    """
    # Not at the top: Flower takes longer to import than most rounds to play.
    from covey_simulations.benchmarks.flower import SERVED, Flower

    degree, threshold = graph(clients, full)
    theirs = Flower(degree, threshold, length)
    dropped = round(DROPOUT * clients)
    client, server = theirs.client(), theirs.server(clients - dropped, dropped)
    totals = sum(client.values()), sum(server.values())
    return {
        "flower_degree": degree,
        "flower_client_seconds": {**client, "total": totals[0]},
        "flower_server_seconds": {**server, "total": totals[1]},
        "flower_server_from": SERVED,
        "flower_over_client": totals[0] / ours["phone_seconds"]["total"],
        "flower_over_server": totals[1] / ours["coordinator_seconds"]["total"],
    }


def five_phases_figures(
    clients: int, length: int, full: bool, ours: Mapping[str, Any], tell: Callable[[int], None]
) -> dict[str, Any]:
    """Return seconds and bytes of the round in five phases, and how often ours go into them.

    Args:
        tell: hears `PHASES` times of every device.
    """
    cohort = enrol(clients, length, CORRUPT, DROPPED, full)
    played = Round(cohort, DROPOUT, tell, sampling=False)
    played.play()
    theirs = figures_of_phases(played)
    named = {
        f"five_phases_{name}": theirs[name]
        for name in ("client_seconds", "server_seconds", "bytes_up", "bytes_down")
    }
    return {
        "five_phases_degree": theirs["degree"],
        **named,
        "five_phases_over_client": theirs["client_seconds"]["total"] / ours["phone_seconds"]["total"],
        "five_phases_over_server": theirs["server_seconds"]["total"] / ours["coordinator_seconds"]["total"],
        "five_phases_over_bytes_up": theirs["bytes_up"]["total"] / ours["bytes"]["phone_up"],
        "five_phases_over_bytes_down": theirs["bytes_down"]["total"]
        / ours["bytes"]["phone_down_with_tickets"],
    }


def graph(clients: int, full: bool) -> tuple[int, int]:
    """Return degree and threshold of the graph among so many devices."""
    return (clients - 1, 2 * clients // 3 + 1) if full else parameters(clients, CORRUPT, DROPPED)
