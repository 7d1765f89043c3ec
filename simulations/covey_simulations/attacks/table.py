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
class AttackRow:
    """An attack, in words and as played on either."""

    attack: str
    covey: Callable[[], str]
    flower: Callable[[], str]

    def __str__(self) -> str:
        return f"| {self.attack} | {self.covey()} | {self.flower()} |"


def _row(attack: str, on_covey: Callable[[], object], on_flower: Callable[[], object]) -> AttackRow:
    def refused() -> str:
        rule = covey.refusal(on_covey)
        return f"`{rule}`" if rule else "**answers**"

    return AttackRow(attack, refused, partial(flower.outcome, on_flower))


ROWS = (
    _row("an opening that names a member in and out", covey.in_and_out, flower.alive_and_dead),
    _row("an opening over a set that the server made up", covey.set_of_its_own, flower.set_of_its_own),
    _row("a second opening, over another set", covey.second_opening, flower.second_unmask),
    _row("an opening before the step that it follows", covey.open_first, flower.unmask_first),
    _row("a step asked for again", covey.contribute_again, flower.stage_again),
    _row("an opening over fewer members than the least", covey.few_members, flower.few_survivors),
    _row("a recipient's key swapped for the server's", covey.swapped_key, flower.swapped_key),
    _row("a key that its owner did not sign", covey.unsigned_key, flower.swapped_key),
    _row("all recipients invented by the server", covey.invented_organisations, flower.invented_peers),
    _row("recipients that the server chose", covey.chosen_decryptors, flower.chosen_neighbours),
    _row("a key of low order; at Flower, of another curve", covey.bad_point, flower.bad_point),
    _row("a protection that the server lowered", covey.low_gamma, flower.low_threshold),
    _row("a set smaller than promised", covey.small_set, flower.tiny_cohort),
    _row("a truncated share", covey.truncated_share, flower.truncated_share),
    _row("one sender twice", covey.twice_in_the_set, flower.duplicated_share),
    _row("shares of two senders swapped", covey.redirected_share, flower.redirected_share),
    _row("one share delivered, of one sender", covey.few_shares, flower.few_shares),
    AttackRow("a recipient that opens wrong shares", covey.wrong_share, flower.wrong_share),
    AttackRow(
        "two seeds that fold to the same 32 bits", covey.folded_seed, lambda: flower.folded_seed(covey.SEEDS)
    ),
)


def table() -> str:
    """Play every attack; return the table."""
    head = f"| attack | Covey | Flower's SecAgg+ mod ({flower.VERSION}) |\n|---|---|---|\n"
    return head + "".join(f"{row}\n" for row in ROWS)


def table_of_page(page: str) -> list[str]:
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
    elif table_of_page(page) != [str(row) for row in ROWS]:
        sys.stderr.write(f"{name}: what is observed now is another table\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
