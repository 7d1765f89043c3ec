"""What the drill of withdrawals found, for people: a table, and a sentence or two for each group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

ENDINGS = {
    "on the phone, online": "The phone forgets its tickets and leaves the rounds that it is in.",
    "on the phone, offline": "The phone asks nobody; the registry is told when the phone is online again.",
    "by an officer, phone online": (
        "The phone asks the registry before it joins, and leaves what it is in when it hears of it."
    ),
    "by an officer, phone offline": "A phone that cannot ask joins nothing, whoever's it is.",
}


def show(found: Mapping[str, Any]) -> None:
    """Print the table, then the sentences."""
    console = Console()
    table = Table(title="Milliseconds until refused: median, and 99 in 100", title_justify="left")
    table.add_column("withdrawn")
    for column in ("people", "by the phone", "by the registry", "still took part"):
        table.add_column(column, justify="right")
    for group in found["groups"]:
        times = (_times(group[name]) for name in ("phone_refuses_ms", "registry_refuses_ms"))
        table.add_row(group["group"], str(group["people"]), *times, str(group["contributions"]))
    console.print(table)
    for text in (*map(sentence, found["groups"]), bound(found["offline"])):
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    if not found["as_expected"]:
        console.print("This is NOT as it should be: the drill failed.")


def sentence(group: Mapping[str, Any]) -> str:
    """Return what happened to a group, in words."""
    stayed, name = group["baseline"], group["group"]
    wrong = "".join(f"BUT {each}. " for each in _wrong(group))
    return (
        f"Withdrawn {name}: {group['contributions']} of {group['people']} could still take part, "
        f"{group['tickets']} got tickets; of {stayed['people']} who withdrew nothing, {stayed['took_part']} "
        f"took part and {stayed['got_tickets']} got tickets. {wrong}{ENDINGS[name]}{_earlier(group)}"
    )


def bound(offline: Mapping[str, Any]) -> str:
    """Return what bounds a phone that stays offline, in words."""
    return (
        "What bounds an offline phone for whose owner an officer withdrew: its tickets die with the epoch, "
        f"{offline['ticket_hours_left']:g} hours later on the registry's clock, and its purposes end seven "
        "days after it last reached the registry: of the gates of "
        f"{offline['people']} phones, {offline['gates_open_before_seven_days']} were open a minute before, "
        f"{offline['gates_closed_after_seven_days']} closed a minute after, and "
        f"{offline['gates_open_again_online']} open again online; {offline['contributions']} took part then."
    )


def _earlier(group: Mapping[str, Any]) -> str:
    """Return how many are in a round that they joined before, nothing where nobody is."""
    still = group["in_an_earlier_round"]
    return f" {still} were in a round already, and may be until its deadline." if still else ""


def _wrong(group: Mapping[str, Any]) -> list[str]:
    """Return what else is wrong with a group."""
    wrong = []
    if group["refused_by_registry_alone"]:
        wrong.append(f"{group['refused_by_registry_alone']} phones did not refuse by themselves")
    if group["verdicts"] != {"withdrawn": group["people"]}:
        wrong.append(f"the registry's verdicts were {group['verdicts']}")
    if group["baseline"]["took_part_offline"]:
        wrong.append("phones took part that could not ask the registry")
    return wrong


def _times(spread: Mapping[str, float] | None) -> str:
    return "never" if spread is None else f"{spread['median']:.1f}  {spread['p99']:.1f}"
