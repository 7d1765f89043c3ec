"""The attacks, played against both, as a table of a page: `python -m covey_simulations.attacks.table`.

python -m covey_simulations.attacks.table docs/threats.md           # play again and compare
python -m covey_simulations.attacks.table docs/threats.md --write   # write the table anew
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from covey_simulations.attacks import covey, flower

BEGIN, END = "<!-- attacks -->\n", "<!-- /attacks -->\n"


@dataclass(frozen=True, slots=True)
class Row:
    """An attack, in words and as played on either."""

    attack: str
    covey: Callable[[], str]
    flower: Callable[[], str]

    def __str__(self) -> str:
        return f"| {self.attack} | {self.covey()} | {self.flower()} |"


def _row(attack: str, on_covey: Callable[[], object], on_flower: Callable[[], object]) -> Row:
    def refused() -> str:
        rule = covey.refusal(on_covey)
        return f"`{rule}`" if rule else "**answers**"

    return Row(attack, refused, partial(flower.outcome, on_flower))


ROWS = (
    _row("unmask that names nodes alive and dead", covey.split_survivors, flower.alive_and_dead),
    _row("unmask over a set that the server made up", covey.set_without_the_device, flower.set_of_its_own),
    _row("unmask a second time, over another set", covey.second_unmask, flower.second_unmask),
    _row("unmask before the vectors were sent", covey.unmask_first, flower.unmask_first),
    _row("a stage asked for again", covey.stage_again, flower.stage_again),
    _row("fewer survivors than the threshold", covey.few_survivors, flower.few_survivors),
    _row("a neighbour's keys swapped for the server's", covey.swapped_key, flower.swapped_key),
    _row("a key that its owner did not sign", covey.unsigned_key, flower.swapped_key),
    _row("all neighbours invented by the server", covey.invented_peers, flower.invented_peers),
    _row("neighbours that the server chose", covey.chosen_neighbours, flower.chosen_neighbours),
    _row("a key of low order; at Flower, of another curve", covey.bad_point, flower.bad_point),
    _row("a threshold that the server lowered", covey.low_threshold, flower.low_threshold),
    _row("a cohort smaller than promised", covey.tiny_cohort, flower.tiny_cohort),
    _row("a truncated share", covey.truncated_share, flower.truncated_share),
    _row("a share delivered twice", covey.duplicated_share, flower.duplicated_share),
    _row("shares of two senders swapped", covey.redirected_share, flower.redirected_share),
    _row("fewer shares delivered than the threshold", covey.few_shares, flower.few_shares),
    Row("a device that opens wrong shares", covey.wrong_share, flower.wrong_share),
    Row(
        "two seeds that fold to the same 32 bits", covey.folded_seed, lambda: flower.folded_seed(covey.SEEDS)
    ),
)


def table() -> str:
    """Play every attack; return the table."""
    head = f"| attack | Covey | Flower's SecAgg+ mod ({flower.VERSION}) |\n|---|---|---|\n"
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
