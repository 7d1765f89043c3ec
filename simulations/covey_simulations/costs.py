"""What rounds cost a person, at the demo's settings and several populations: the tables of docs/privacy.md.

    python -m covey_simulations.costs            # the tables, as the page has them
    python -m covey_simulations.costs --json     # the same for a program

Nothing is simulated: sigma, n_h and epsilon follow from the population and the budget alone.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

from covey_models import QUERIES
from covey_privacy.dp import Skellam, SkellamMechanism, Spent, account, noise_share
from covey_privacy.five_phases import graph
from covey_privacy.manifest import Step
from covey_server import training
from covey_server.plan import BITS, Size, fitted
from covey_simulations.acts import Q20_SHARE
from covey_simulations.report import odds
from covey_simulations.shop import DROPOUT, GAMMA, TURNOUT

DEVICES = (400, 2469, 60_000)
"""People who allow the purpose: a small shop, all households of the Complete Journey, a chain."""
ANALYTICS, TRAIN, DELTA, ITEMS = 2.0, 4.0, 1e-6, 2228
"""The demo's yearly budgets and delta, and the items of its catalogue."""

HEADS = (
    "people",
    "rounds",
    "n_h",
    "noise",
    "ε, Rényi",
    "ε, Gaussian",
    "**ε that holds**",
    "odds",
    "alone, ε",
)


@dataclass(frozen=True, slots=True)
class Row:
    """Some rounds and what they cost together.

    `spent` has the sampler's distance from its law inside delta; `alone` is the epsilon of a person's own
    share of the noise, all others being corrupt.
    """

    people: int
    rounds: str
    honest: int
    sigmas: tuple[float, ...]
    spent: Spent
    alone: float


def rows() -> Iterator[Row]:
    """Return the table's rows: each query, the training, and a year of them all."""
    for people in DEVICES:
        q20 = _query("q20", Q20_SHARE * ANALYTICS, people)
        q1 = _query("q1", ANALYTICS - Q20_SHARE * ANALYTICS, people)
        p1 = training.plan(TRAIN, people, ITEMS, DELTA).steps
        yield _row(people, "Q20", q20)
        yield _row(people, "Q1", q1)
        yield _row(people, f"P1, {len(p1)} sum" + "s" * (len(p1) > 1), p1)
        yield _row(people, "all of them", (*q20, *q1, *p1))


def survivors(people: int) -> tuple[int, int]:
    """Return (cohort, n_h): those expected to come, and the honest among them who remain, less oneself."""
    cohort = math.floor(TURNOUT * people)
    return cohort, math.floor((1 - DROPOUT) * cohort) - math.floor(GAMMA * cohort) - 1


def _query(name: str, epsilon: float, people: int) -> tuple[Step, ...]:
    query = QUERIES[name]
    return fitted([Size(name, query.length, query.norm)], epsilon, people, DELTA, BITS).steps


def _row(people: int, rounds: str, steps: Sequence[Step]) -> Row:
    _, honest = survivors(people)
    mechanisms = [step.mechanism for step in steps]
    spent = account(mechanisms, DELTA, sum(_distance(step, honest) for step in steps))
    return Row(
        people,
        rounds,
        honest,
        tuple(step.sigma for step in steps),
        spent,
        account([_alone(each, honest) for each in mechanisms], DELTA).epsilon,
    )


def _alone(mechanism: SkellamMechanism, honest: int) -> SkellamMechanism:
    """Return the mechanism with one device's share of its noise."""
    return replace(mechanism, variance=mechanism.variance / honest)


def _distance(step: Step, honest: int) -> float:
    """Return the distance of all draws of n_h devices from their law."""
    return step.length * honest * Skellam(noise_share(step.sigma, step.scale, honest)).distance


def markdown(found: Sequence[Row]) -> str:
    """Return the rows as the page's table."""
    lines = ["| " + " | ".join(HEADS) + " |", "|" + "---|" * len(HEADS)]
    for row in found:
        sigmas = " / ".join(f"{sigma:.2f}" for sigma in row.sigmas) if len(row.sigmas) < 4 else "as above"
        cells = (
            f"{row.people:,}",
            row.rounds,
            f"{row.honest:,}",
            sigmas,
            _shown(row.spent.rdp),
            _shown(row.spent.gaussian),
            f"**{_shown(row.spent.epsilon)}**",
            f"{100 * odds(row.spent.epsilon, DELTA):.0f} %",
            f"{row.alone:,.0f}",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _shown(epsilon: float) -> str:
    return f"{epsilon:.3f}" if math.isfinite(epsilon) else "–"


def _plain(row: Row) -> dict[str, object]:
    cohort, _ = survivors(row.people)
    spent = {**row.spent.figures(), "epsilon": row.spent.epsilon, "delta": row.spent.delta}
    return {**asdict(row), "spent": spent, "graph_failure": graph.failure(cohort)}


if __name__ == "__main__":
    found = list(rows())
    as_json = sys.argv[1:] == ["--json"]
    sys.stdout.write(json.dumps([_plain(row) for row in found], indent=2) if as_json else markdown(found))
