"""The report's charts of recommending: who is ahead, what epsilon does, why an item is on a list."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

from covey_simulations.evaluation.paired_comparison import METRICS, Lead
from covey_simulations.report.chart_style import (
    GREEN,
    INK,
    PALE,
    PINK,
    RELEASED,
    SKY,
    TRUTH,
    YELLOW,
    canvas,
    label_of,
    rows,
    stand_in,
    styled,
    svg,
)

REASONS: Mapping[str, str] = {
    "popular": RELEASED,
    "adopted": SKY,
    "goes_with": GREEN,
    "frequent": PINK,
    "recent": YELLOW,
}
"""The colour of each kind of reason; any other kind is pale."""

_WIDEST = 26
_FACES = {"ahead": RELEASED, "even": "white", "behind": TRUTH}
_EDGES = {"ahead": RELEASED, "even": INK, "behind": TRUTH}


@styled
def leads(task: str, found: Mapping[str, Mapping[str, Lead]]) -> str:
    """Return the run's lead over each rival with its interval, in points, one panel a metric."""
    figure = Figure(figsize=(4.8, 1.0 + 0.42 * len(found)), layout="constrained")
    for panel, metric in zip(figure.subplots(1, 2, sharey=True), METRICS, strict=True):
        panel.axvline(0, color=INK, linewidth=1)
        for row, by_metric in enumerate(found.values()):
            _dot(panel, row, by_metric[metric])
        panel.set_title(label_of("metric", metric), fontsize=9)
        panel.set_xlabel(label_of("chart", "lead"))
        panel.margins(y=0.25)
    rows(panel, [label_of("ranker", rival) for rival in found])
    return svg(figure, f"leads-{task}")


def _dot(axes: Axes, row: int, lead: Lead) -> None:
    axes.plot([100 * lead.low, 100 * lead.high], [row, row], color=INK, linewidth=1.4, zorder=2)
    face, edge = _FACES[lead.verdict], _EDGES[lead.verdict]
    axes.plot(100 * lead.gap, row, "o", ms=7, mfc=face, mec=edge, mew=1.4, zorder=3)


@styled
def effect(metric: str, found: Mapping[str, Any]) -> str:
    """Return a metric in points at each epsilon, beside no noise, exact best sellers and the run itself."""
    figure, axes = canvas(4.3, 2.9)
    noisy = [row for row in found["effect"] if row["epsilon"] is not None]
    exact = [row for row in found["effect"] if row["epsilon"] is None]
    points = [100 * row[metric] for row in noisy]
    axes.plot([row["epsilon"] for row in noisy], points, color=RELEASED, zorder=2)
    for row, point in zip(noisy, points, strict=True):
        face = RELEASED if row["form"] == "three_rounds" else "white"
        axes.plot(row["epsilon"], point, "o", ms=6, mfc=face, mec=RELEASED, mew=1.4, zorder=3)
    for row in exact:
        axes.axhline(100 * row[metric], color=INK, linewidth=1.4)
    run = found["new"][metric]
    axes.axhline(100 * run["popularity"], color=TRUTH, linewidth=1.8, linestyle="--")
    axes.plot(found["epsilon"], 100 * run["federated"], "D", ms=7, mfc="white", mec=INK, zorder=4)
    _epsilons(axes, [row["epsilon"] for row in noisy])
    axes.set_ylabel(label_of("chart", f"points_{metric}"))
    return svg(figure, f"effect-{metric}")


def _epsilons(axes: Axes, shown: Sequence[float]) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(shown))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel(label_of("chart", "epsilon_training"))


@styled
def reasons(ranking: str, listed: Sequence[Mapping[str, Any]]) -> str:
    """Return each item's score as a bar of its reasons, those against it to the left of zero."""
    figure, axes = canvas(4.6, 0.8 + 0.3 * len(listed))
    for row, entry in enumerate(listed):
        ends = {True: 0.0, False: 0.0}
        for reason in entry["reasons"]:
            side = reason["amount"] >= 0
            colour = REASONS.get(reason["code"], PALE)
            axes.barh(row, reason["amount"], 0.6, ends[side], color=colour, edgecolor="white", linewidth=0.5)
            ends[side] += reason["amount"]
        axes.plot(entry["score"], row, "D", ms=4.5, mfc="white", mec=INK)
    axes.axvline(0, color=INK, linewidth=1)
    texts = [_shortened(entry["item"]) for entry in listed]
    stood_in = {stand_in(text, place): text for place, text in enumerate(texts)}
    rows(axes, list(stood_in))
    axes.set_xlabel(label_of("chart", "score"))
    return svg(figure, f"reasons-{ranking}", stood_in)


def _shortened(item: str) -> str:
    """Return an item's name, cut between words, or within the first where that is too long already."""
    short = textwrap.shorten(item, _WIDEST, placeholder="…")
    return short if short != "…" else f"{item[: _WIDEST - 1]}…"
