"""What the drill of withdrawals found, for people: a table, and a sentence or two for each group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

ENDINGS = {
    "on the phone, online": "The phone deletes its tickets and retracts what it contributed.",
    "on the phone, offline": (
        "The phone deletes its tickets at once, and retracts what it contributed when it is online again."
    ),
    "by an officer, phone online": (
        "The phone asks the registry before it contributes, and deletes and retracts when it learns of it."
    ),
    "by an officer, phone offline": "A phone that cannot ask the registry contributes nothing.",
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
        f"took part and {stayed['got_tickets']} got tickets. {wrong}{ENDINGS[name]} {_earlier(group)}"
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
    """Return how many stayed in the round that they had contributed to before."""
    still, stayed = group["in_the_earlier_set"], group["baseline"]
    said = (
        f"Of the round before the withdrawals the signed set has {still} of the {group['people']} and "
        f"{stayed['in_the_earlier_set']} of the {stayed['people']}."
    )
    if group["stay_offline"]:
        said += f" {group['stay_offline']} phones were offline until it was signed, and retracted nothing."
    return said


def _wrong(group: Mapping[str, Any]) -> list[str]:
    """Return what else is wrong with a group."""
    wrong = []
    if group["refused_by_registry_alone"]:
        wrong.append(f"{group['refused_by_registry_alone']} phones did not refuse by themselves")
    if group["verdicts"] != {"withdrawn": group["people"]}:
        wrong.append(f"the registry's verdicts were {group['verdicts']}")
    for name, what in (("old_tickets_usable", "hold tickets"), ("in_the_earlier_set", "are in a signed set")):
        if group[name] != group["stay_offline"]:
            wrong.append(f"{group[name]} who withdrew still {what}, and {group['stay_offline']} are offline")
    if group["baseline"]["took_part_offline"]:
        wrong.append("phones took part that could not ask the registry")
    return wrong


def _times(spread: Mapping[str, float] | None) -> str:
    return "never" if spread is None else f"{spread['median']:.1f}  {spread['p99']:.1f}"
