"""Attacks on Flower's SecAgg+ mod, as a table of a page, beside what stands against the like in Covey.

python -m covey_simulations.attacks.table docs/threats.md           # play again and compare
python -m covey_simulations.attacks.table docs/threats.md --write   # write the table anew
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from covey_simulations.attacks import flower

BEGIN, END = "<!-- attacks -->\n", "<!-- /attacks -->\n"

SEEDS = (bytes(32), b"\1\2\3\4" * 2 + bytes(24))
"""Two seeds of 256 bits; the exclusive or of the words of either is zero."""


@dataclass(frozen=True, slots=True)
class Row:
    """An attack in words and as it is played on Flower's mod, and what Covey has against the like."""

    attack: str
    flower: Callable[[], str]
    covey: str

    def __str__(self) -> str:
        return f"| {self.attack} | {self.flower()} | {self.covey} |"


def _row(attack: str, on_flower: Callable[[], object], covey: str) -> Row:
    return Row(attack, lambda: flower.outcome(on_flower), covey)


ROWS = (
    _row(
        "names nodes both alive and dead, and asks for the shares of both kinds",
        flower.alive_and_dead,
        "there is one kind of share; a decryptor opens one set (`step-once`)",
    ),
    _row(
        "opens over a set that it made up",
        flower.set_of_its_own,
        "the registry signed the set, in the log (`head-signature`, `log-inclusion`)",
    ),
    _row("opens a second time, over another set", flower.second_unmask, "`step-once`"),
    _row("opens before the vectors were sent", flower.unmask_first, "`step-order`"),
    _row("opens a set below the threshold", flower.few_survivors, "`least-set`"),
    _row("asks a client for a stage again", flower.stage_again, "the same bytes again"),
    _row(
        "puts a key of its own in the place of a peer's",
        flower.swapped_key,
        "keys are signed (`organisation-signature`, `volunteer-signature`)",
    ),
    _row(
        "invents all peers",
        flower.invented_peers,
        "organisations are pinned, volunteers have tickets (`organisation-signature`, `ticket-signature`)",
    ),
    _row(
        "chooses who holds shares",
        flower.chosen_neighbours,
        "`organisation-signature`, `draw-nonce`, `draw-order`",
    ),
    _row("shows a key of another curve", flower.bad_point, "`key-encoding`, `low-order-key`"),
    _row("lowers the threshold", flower.low_threshold, "`committee-shape`"),
    _row("asks a cohort that is smaller than promised", flower.tiny_cohort, "`manifest-floor`, `least-set`"),
    _row("truncates a share", flower.truncated_share, "`contribution-size`; a garbled one is complained of"),
    _row("delivers a share twice", flower.duplicated_share, "`contribution-size`"),
    Row(
        "a client opens wrong shares",
        flower.wrong_share,
        "corrected up to e, found beyond (`wrong-sums`); with R answers integrity is called unproved",
    ),
    Row(
        "two seeds that fold to the same 32 bits",
        lambda: flower.folded_seed(SEEDS),
        "streams have keys of 256 bits; nothing is folded",
    ),
)


def table() -> str:
    """Play every attack; return the table."""
    head = f"| a server, or a client, | Flower's SecAgg+ mod ({flower.VERSION}) | in Covey |\n|---|---|---|\n"
    return head + "".join(f"{row}\n" for row in ROWS)


def of_page(page: str) -> list[str]:
    """Return the rows of the table in a page; its head names the version that was played last."""
    _, rest = page.split(BEGIN)
    return rest.split(END)[0].splitlines()[2:]


def main(arguments: list[str]) -> int:
    """Compare a page's table with what is played now, or write it."""
    name, *write = arguments
    page = Path(name).read_text("utf-8")
    if write:
        before, rest = page.split(BEGIN)
        Path(name).write_text(before + BEGIN + table() + END + rest.split(END)[1], "utf-8")
    elif of_page(page) != [str(row) for row in ROWS]:
        sys.stderr.write(f"{name}: what is observed now is another table\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
