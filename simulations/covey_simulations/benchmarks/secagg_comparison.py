"""What a round in one message is held against: Flower's SecAgg+, in the same run.

Flower's functions run with as many neighbours as a graph has against corrupt devices and a server that shows
two sets.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from covey_privacy.secagg.tail_bounds import LIVENESS_BITS, SECRECY_BITS, answer_bound, corrupt_bound
from covey_simulations.errors import SetupError

FLOWER = "flower"
CORRUPT = DROPPED = 0.1
"""Shares that the graph bears: of corrupt devices, and of devices that drop out."""
DROPOUT = 0.05
"""The share that does drop out."""
COMPLETE_BELOW = 50


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


def graph(clients: int, full: bool) -> tuple[int, int]:
    """Return degree and threshold of a graph among so many devices, of which CORRUPT and DROPPED may be lost.

    As Bell et al. 2020 choose them ("Secure Single-Server Aggregation with (Poly)Logarithmic Overhead"):
    around no device do corrupt neighbours and one half of the honest ones reach the threshold (chance 2^-40),
    and around none do fewer neighbours than the threshold stay (2^-20). Below COMPLETE_BELOW devices, or with
    `full`, every device is every other's neighbour. Raises SetupError for too few devices.
    """
    corrupt, dropped = int(CORRUPT * clients), int(DROPPED * clients)
    if full or clients < COMPLETE_BELOW:
        threshold = 2 * clients // 3 + 1
        if threshold > clients - 1 - dropped:
            raise SetupError(f"no graph of {clients} devices bears a tenth dropping out: ask more devices")
        return clients - 1, threshold
    union = math.ceil(math.log2(clients))
    for degree in range(2, clients, 2):
        colluding = corrupt_bound(clients - 1, corrupt, degree, SECRECY_BITS + union)
        threshold = (degree + colluding) // 2 + 1
        if threshold <= answer_bound(clients - 1, DROPPED, degree, LIVENESS_BITS + union):
            return degree, threshold
    raise SetupError(f"no graph of {clients} devices bears a tenth corrupt and a tenth dropping out")
