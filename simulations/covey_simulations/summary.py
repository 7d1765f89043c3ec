"""A run's findings on the terminal: the figures, what they cost, the proof, one phone's ledger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table


def show(found: Mapping[str, Any], console: Console) -> None:
    """Print the summary."""
    q20, q1 = found["analytics"]["q20"], found["analytics"]["q1"]
    console.print(_table("Medians (Q20)", q20["released"], q20["truth"], "not released"))
    console.print(_table("People by segment (Q1)", q1["released"], q1["truth"], f"< {q1['least_cell']}"))
    console.print(_cost(found["epsilon"]))
    console.print(_proof(found))
    console.print(f"\nThe ledger of {found['ledger']['device']}, as its owner reads it:", highlight=False)
    for entry in found["ledger"]["entries"]:
        console.print(f"  {entry['at'][:10]}  {entry['en']}", markup=False, highlight=False, soft_wrap=True)


def _table(title: str, released: Mapping[str, Any], truth: Mapping[str, Any], hidden: str) -> Table:
    table = Table("", "released", "truth", title=title, title_justify="left")
    for name, value in released.items():
        table.add_row(name, hidden if value is None else f"{value:,.6g}", f"{truth[name]:,.6g}")
    return table


def _cost(epsilon: Mapping[str, Any]) -> str:
    return (
        f"Counting cost each person at most epsilon {epsilon['per_person_max']:.2f} of {epsilon['cap']:g} "
        f"(delta {epsilon['delta']:g})."
    )


def _proof(found: Mapping[str, Any]) -> str:
    log, withdrawn = found["log"], found["withdrawn"]
    adds_up = "add up" if log["verified"] else "DO NOT ADD UP"
    return (
        f"The log's {log['size']} entries {adds_up}. Between the rounds {withdrawn['count']} people "
        f"withdrew; {withdrawn['contributions_after']} of them were counted after that."
    )
