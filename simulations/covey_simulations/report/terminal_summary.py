"""A run's findings on the terminal: the figures, what they cost, the proof, one phone's list and ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from covey_simulations.evaluation import paired_comparison
from covey_simulations.report import conclusions
from covey_simulations.report.chart_style import label_of

_TASKS = {"new": "New types (Recall@10, NDCG@10)", "again": "Types to buy again (Recall@10, NDCG@10)"}

_MARKS = {"won": "WON ", "lost": "LOST", "even": "EVEN"}


def print_summary(found: Mapping[str, Any], console: Console) -> None:
    """Print the summary."""
    for verdict in conclusions.draw_conclusions(found):
        console.print(
            f"{_MARKS[verdict.outcome]} {verdict.en}.", markup=False, highlight=False, soft_wrap=True
        )
    q20, q1 = found["analytics"]["q20"], found["analytics"]["q1"]
    console.print(_table("Medians (Q20)", q20["released"], q20["truth"], "not released"))
    console.print(_table("People by segment (Q1)", q1["released"], q1["truth"], f"< {q1['least_cell']}"))
    for task, title in _TASKS.items():
        console.print(_ranked(title, found["recommender"][task]))
    console.print(_cost(found["epsilon"]))
    console.print(_committees(found["rounds"]), highlight=False)
    console.print(_proof(found))
    console.print(_first(found["recommender"]["list"]), markup=False, highlight=False, soft_wrap=True)
    console.print(f"\nThe ledger of {found['ledger']['device']}, as its owner reads it:", highlight=False)
    for entry in found["ledger"]["entries"]:
        console.print(f"  {entry['at'][:10]}  {entry['en']}", markup=False, highlight=False, soft_wrap=True)


def _table(title: str, released: Mapping[str, Any], truth: Mapping[str, Any], hidden: str) -> Table:
    table = Table("", "released", "truth", title=title, title_justify="left")
    for row, value in released.items():
        table.add_row(row, hidden if value is None else f"{value:,.6g}", f"{truth[row]:,.6g}")
    return table


def _ranked(title: str, task: Mapping[str, Any]) -> Table:
    """Return each ranker's points, and whether the run does better or worse than it beyond chance."""
    table = Table("", "Recall", "NDCG", "this run's Recall is", title=title, title_justify="left")
    found = paired_comparison.leads_by_rival(task)
    for ranker, recall in task["recall_at_10"].items():
        verdict = label_of("verdict", found[ranker]["recall_at_10"].verdict) if ranker in found else ""
        points = (f"{100 * value:.2f}" for value in (recall, task["ndcg_at_10"][ranker]))
        table.add_row(label_of("ranker", ranker), *points, verdict)
    return table


def _first(listed: Mapping[str, Any]) -> str:
    """Return what stands first on one phone's list, and its strongest reason."""
    if not listed["new"]:
        return f"\n{listed['device']} has nothing new on its list."
    entry = listed["new"][0]
    reason = max(entry["reasons"], key=lambda each: abs(each["amount"]))
    return f"\nFirst on the list of {listed['device']}: {entry['item']}. {reason['en']}"


def _cost(epsilon: Mapping[str, Any]) -> str:
    return (
        f"All rounds cost each person at most epsilon {epsilon['per_person_max']:.2f} of {epsilon['cap']:g} "
        f"(delta {epsilon['delta']:g})."
    )


def _committees(rounds: Sequence[Mapping[str, Any]]) -> Table:
    """Return how many messages each round's sum is over, and how many decryptors opened it."""
    kinds = [committee["kind"] for committee in rounds[0]["committees"]]
    columns = [f"opened: {label_of('committee', kind)}" for kind in kinds]
    table = Table("", "messages", "in the sum", *columns, "sum", title="Rounds", title_justify="left")
    for played in rounds:
        opened = [f"{each['opened']}/{each['members']}" for each in played["committees"]]
        proved = "proved" if played["integrity_proved"] else "not proved"
        table.add_row(played["query"], str(played["included"]), str(played["final"]), *opened, proved)
    return table


def _proof(found: Mapping[str, Any]) -> str:
    log, withdrawn = found["log"], found["withdrawn"]
    adds_up = "add up" if log["verified"] else "DO NOT ADD UP"
    return (
        f"The log's {log['size']} entries {adds_up}. Between the rounds {withdrawn['count']} people withdrew "
        f"from statistics; {withdrawn['contributions_after']} of them were counted after that. "
        f"{withdrawn['train']['count']} withdrew from training; their phones sent "
        f"{withdrawn['train']['contributions_after']} contributions to it after that. "
        f"Phones that withdrew made {withdrawn['certificates']['made']} certificates that they are in no "
        f"later set; {withdrawn['certificates']['verified']} verified."
    )
