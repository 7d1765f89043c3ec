"""The figures of `covey bench secagg` as tables for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from covey_simulations.benchmarks.secagg_figures import figure_at


def show(found: Mapping[str, Any]) -> None:
    """Print the figures, ratios and targets last."""
    console = Console()
    console.print(_setting(found))
    if "whole" in found:
        _show_whole(console, found["whole"])
    for name, values in found.items():
        if name == "bytes":
            console.print(_table(name.replace("_", " "), {each: f"{values[each]:,.0f}" for each in values}))
        elif name.endswith("_seconds") and isinstance(values, Mapping):
            console.print(_table(name.replace("_seconds", ", milliseconds").replace("_", " "), _ms(values)))
    for party, hottest in found.get("hotspots", {}).items():
        rows = {f"{each['function']} ({each['calls']:,})": f"{each['seconds']:.4g}" for each in hottest}
        console.print(_table(f"{party.replace('_', ' ')}: hot spots (calls), own seconds", rows))
    ratios = {name: f"{value:,.1f}" for name, value in found.items() if "_over_" in name}
    if ratios:
        console.print(_table("ratios", ratios))
    if found["targets"]:
        console.print(_targets(found))


def _setting(found: Mapping[str, Any]) -> str:
    lines = [
        f"{found['clients']:,} phones, {found['length']:,} entries ({found['sent_length']:,} sent, "
        f"{found['drop']} bits dropped), committee: {found['committee']}"
    ]
    for name, shape in found["shapes"].items():
        lines.append(
            f"{name}: m = {shape['members']}, T = {shape['privacy']}, R = {shape['threshold']}, "
            f"e = {shape['corrects']}"
        )
    if "drawn" in found["shapes"]:
        lost = f"{found['lost']:.0%} may be lost"
        if found["lost"] != found["asked_lost"]:
            lost += f" (no such committee bears {found['asked_lost']:.0%})"
        lines.append(f"drawn of {found['volunteers']:,} volunteers, {found['gamma']:.0%} corrupt, {lost}")
    lines.append(f"load average of the machine: {found['load_average']:.1f}")
    if "answering" in found:
        lines.append(
            f"{found['measured']} phones are measured, {found['answering']} decryptors answer; "
            f"the round took {found['round_seconds']:.1f} s"
        )
    return "\n".join(lines)


def _show_whole(console: Console, whole: Mapping[str, Any]) -> None:
    console.print(
        f"A whole round took {whole['wall_seconds']:.1f} s by the clock, "
        f"{whole['all_processor_seconds']:.1f} s of processor time; "
        f"its devices ran in {whole['processes']} processes"
    )
    console.print("In it: " + "; ".join(whole["included"]))
    console.print("Not in it: " + "; ".join(whole["not_included"]))
    for name in ("before_seconds", "step_seconds"):
        rows = {step: f"{seconds:.3f}" for step, seconds in whole[name].items()}
        console.print(_table(name.replace("_", " ") + ", by the clock", rows))
    for party, parts in whole["processor_seconds"].items():
        rows = {part: f"{seconds:.3f}" for part, seconds in parts.items()}
        console.print(_table(f"{party}, processor seconds", rows))


def _targets(found: Mapping[str, Any]) -> Table:
    table = Table("figure", "", "target", "", title="targets", title_justify="left")
    for path, target in found["targets"].items():
        side, bound = next((side, target[side]) for side in ("at_least", "at_most") if side in target)
        row = (f"{figure_at(found, path):.4g}", f"{side.replace('_', ' ')} {bound:g}")
        table.add_row(path, *row, "met" if target["met"] else "missed")
    return table


def _ms(values: Mapping[str, float]) -> dict[str, str]:
    return {name: f"{1000 * value:,.3f}" for name, value in values.items()}


def _table(title: str, rows: Mapping[str, str]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("", min_width=28)
    table.add_column("", justify="right")
    for name, value in rows.items():
        table.add_row(name.replace("_", " "), value)
    return table
