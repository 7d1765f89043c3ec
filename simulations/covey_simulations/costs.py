"""What rounds cost a person, at the demo's settings and several populations: the tables of docs/privacy.md.

    python -m covey_simulations.costs            # the tables, as the page has them
    python -m covey_simulations.costs --json     # the same for a program

Nothing is simulated: sigma, n_h and epsilon follow from the population and the budget alone, and so does the
chance that a committee drawn of everyone is corrupt.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

from covey_models import QUERIES
from covey_privacy.dp import Skellam, SkellamMechanism, Spent, account, noise_share
from covey_privacy.floors import TEST
from covey_privacy.manifest import Step
from covey_privacy.secagg.shape import choose_shape
from covey_privacy.secagg.tail_bounds import log2_chance
from covey_server import round_terms
from covey_server.plan import Size, fit_plan
from covey_server.questions import plan_training
from covey_server.round_terms import CommitteePolicy, Population
from covey_simulations.report.pages import odds
from covey_simulations.scenarios.scenario import Q20_SHARE
from covey_simulations.scenarios.shop import GAMMA, LOST, TURNOUT

DEVICES = (400, 2469, 10_000)
"""People who allow the purpose: a small shop, the Complete Journey's households, the most of one round."""
ANALYTICS, TRAIN, DELTA, ITEMS = 2.0, 4.0, 1e-6, 2228
"""The demo's yearly budgets and delta, and the items of its catalogue."""

COMMITTEES = CommitteePolicy((), drawn=True, gamma=GAMMA, lost=LOST, turnout=TURNOUT)

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
class CostRow:
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


def rows() -> Iterator[CostRow]:
    """Return the table's rows: each query, the training, and a year of them all."""
    for people in DEVICES:
        q20 = _query("q20", Q20_SHARE * ANALYTICS, people)
        q1 = _query("q1", ANALYTICS - Q20_SHARE * ANALYTICS, people)
        p1 = plan_training(TRAIN, people, ITEMS, DELTA).steps
        yield _row(people, "Q20", q20)
        yield _row(people, "Q1", q1)
        yield _row(people, f"P1, {len(p1)} sum" + "s" * (len(p1) > 1), p1)
        yield _row(people, "all of them", (*q20, *q1, *p1))


def honest(people: int) -> int:
    """Return n_h where all of these people have tickets: how many phones' shares of noise make the whole."""
    return round_terms.honest(COMMITTEES, TEST, "analytics", Population(people, people))


def corrupt_committee(people: int) -> float:
    """Return log2 of the chance that corrupt decryptors of a drawn committee can open a phone's pad.

    All of the people volunteer, the corrupt among them too.
    """
    least = round_terms.least_set(COMMITTEES, TEST, "analytics", Population(people, people))
    corrupt = least - honest(people) - 1
    shape = choose_shape(people, corrupt, LOST)
    return log2_chance(people, corrupt, shape.members, shape.privacy - 1)


def _query(name: str, epsilon: float, people: int) -> tuple[Step, ...]:
    query = QUERIES[name]
    return fit_plan([Size(name, query.length, query.norm)], epsilon, people, DELTA).steps


def _row(people: int, rounds: str, steps: Sequence[Step]) -> CostRow:
    shares = honest(people)
    mechanisms = [step.mechanism for step in steps]
    spent = account(mechanisms, DELTA, sum(_distance(step, shares) for step in steps))
    return CostRow(
        people,
        rounds,
        shares,
        tuple(step.sigma for step in steps),
        spent,
        account([_alone(each, shares) for each in mechanisms], DELTA).epsilon,
    )


def _alone(mechanism: SkellamMechanism, shares: int) -> SkellamMechanism:
    """Return the mechanism with one device's share of its noise."""
    return replace(mechanism, variance=mechanism.variance / shares)


def _distance(step: Step, shares: int) -> float:
    """Return the distance of all draws of n_h devices from their law."""
    return step.length * shares * Skellam(noise_share(step.sigma, step.scale, shares)).distance


def markdown(found: Sequence[CostRow]) -> str:
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


def _plain(row: CostRow) -> dict[str, object]:
    spent = {**row.spent.figures(), "epsilon": row.spent.epsilon, "delta": row.spent.delta}
    return {**asdict(row), "spent": spent, "corrupt_committee_log2": corrupt_committee(row.people)}


if __name__ == "__main__":
    found = list(rows())
    as_json = sys.argv[1:] == ["--json"]
    sys.stdout.write(json.dumps([_plain(row) for row in found], indent=2) if as_json else markdown(found))
