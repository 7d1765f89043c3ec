"""The state machines drawn: Mermaid diagrams made of their tables, for the pages that show them.

    python -m covey_privacy.diagrams docs/one-message.md           # compare
    python -m covey_privacy.diagrams docs/one-message.md --write   # after a change of a table

A page marks where a machine's diagram stands by `<!-- diagram: secagg.Contributor -->` and `<!-- end -->`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from covey_privacy.command_line import write_or_compare
from covey_privacy.secagg import aggregator, collector, contributor, decryptor, notary, volunteer
from covey_privacy.state_machine import Machine

MACHINES: dict[str, type[Machine]] = {
    "secagg.Contributor": contributor.Contributor,
    "secagg.Volunteer": volunteer.Volunteer,
    "secagg.Decryptor": decryptor.Decryptor,
    "secagg.Collector": collector.Collector,
    "secagg.Aggregator": aggregator.Aggregator,
    "secagg.Notary": notary.Notary,
}

_MARKED = re.compile(r"(<!-- diagram: ([\w.]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def diagram(machine: type[Machine]) -> str:
    """Return the machine's table as a Mermaid `stateDiagram-v2`."""
    states = dict.fromkeys(state for (before, _), after in machine.TABLE.items() for state in (before, after))
    moves = [(before, after) for (before, _), after in machine.TABLE.items() if before is not after]
    befores, afters = {before for before, _ in moves}, {after for _, after in moves}
    starts = [f"[*] --> {state.__name__}" for state in states if state not in afters]
    steps = [f"{row[0].__name__} --> {after.__name__}: {row[1]}" for row, after in machine.TABLE.items()]
    ends = [f"{state.__name__} --> [*]" for state in states if state not in befores]
    return "\n    ".join(["stateDiagram-v2", "direction LR", *starts, *steps, *ends])


def drawn(page: str) -> str:
    """Return the page with the diagram of each machine that it marks."""
    return _MARKED.sub(
        lambda found: f"{found[1]}```mermaid\n{diagram(MACHINES[found[2]])}\n```\n{found[3]}", page
    )


def main(arguments: list[str]) -> int:
    """Compare a page's diagrams with the tables, or draw them anew."""
    name, *write = arguments or ["docs/one-message.md"]
    generated = drawn(Path(name).read_text("utf-8"))
    difference = "shows other state machines than the code has; draw them anew with"
    return write_or_compare(Path(name), generated, write=bool(write), difference=difference)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
