"""The report's charts of consent, counts and privacy spent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

from covey_simulations.report.chart_style import (
    HAZE,
    INK,
    PALE,
    RELEASED,
    TRUTH,
    beside,
    canvas,
    label_of,
    rows,
    styled,
    svg,
)

_DASHES = (0, (3, 2))
_TRUE_BAR: dict[str, Any] = {"facecolor": "white", "edgecolor": TRUTH, "hatch": "////", "linewidth": 1}
_EMPTY_BAR: dict[str, Any] = {"facecolor": "none", "edgecolor": RELEASED, "linewidth": 1, "ls": _DASHES}


@dataclass(frozen=True, slots=True)
class Scale:
    """What a histogram's axis shows: a label of the group `chart`, how many of the fact's units make one."""

    label: str
    units: float = 1.0


SCALES: Mapping[str, Scale] = {
    "recency": Scale("days"),
    "frequency": Scale("orders"),
    "monetary": Scale("dollars", 100),
}


def least_released(sd: float, least_cell: int) -> int:
    """Return the count below which a cell is not released: `least_cell`, or three standard deviations."""
    return max(least_cell, math.ceil(3 * sd))


@styled
def segments(query: Mapping[str, Any]) -> str:
    """Return released against true counts of each segment.

    Bars carry two standard deviations of noise each way; a diamond marks the count without noise.
    """
    figure, axes = canvas(4.3, 4.6)
    bound = least_released(query["sd"], query["least_cell"])
    for row, (segment, count) in enumerate(query["released"].items()):
        if count is None:
            axes.barh(row - 0.2, bound, 0.36, **_EMPTY_BAR)
            beside(axes, bound, row - 0.2, f"< {bound}")
        else:
            noise = 2 * query["sd"]
            axes.barh(row - 0.2, count, 0.36, color=RELEASED, xerr=noise, capsize=3, ecolor=INK)
            beside(axes, count + noise, row - 0.2, f"{count:,}")
        axes.plot(query["at_released_cuts"][segment], row - 0.2, "D", ms=5, mfc="white", mec=INK)
        axes.barh(row + 0.2, query["truth"][segment], 0.36, **_TRUE_BAR)
    rows(axes, [label_of("segment", segment) for segment in query["released"]])
    axes.set_xlabel(label_of("chart", "people"))
    return svg(figure, "segments")


@styled
def histogram(fact: str, query: Mapping[str, Any], least_cell: int) -> str:
    """Return released against true bins of one fact on a log axis, with both medians as lines."""
    figure, axes = canvas(3.3, 2.6)
    scale, cells = SCALES[fact], query["histograms"][fact]
    edges = _log_edges([edge / scale.units for edge in cells["edges"]])
    bound = least_released(query["sd"], least_cell)
    hidden = [bound if count is None else math.nan for count in cells["released"]]
    shown = [math.nan if count is None else count for count in cells["released"]]
    axes.stairs(hidden, edges, fill=True, color=HAZE)
    axes.axhline(bound, color=RELEASED, linewidth=0.8, linestyle=_DASHES)
    axes.stairs(shown, edges, fill=True, color=RELEASED)
    axes.stairs(cells["truth"], edges, color=TRUTH, linewidth=1.8)
    _median(axes, query["released"][fact], scale, INK, "-")
    _median(axes, query["truth"][fact], scale, TRUTH, "--")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set(xlabel=label_of("chart", scale.label), ylabel=label_of("chart", "people"))
    return svg(figure, f"histogram-{fact}")


@styled
def spent(gauges: Mapping[str, tuple[float, float]]) -> str:
    """Return the epsilon spent on each purpose, or on all of them, as gauges that end at their caps."""
    figure, axes = canvas(4.3, 0.9 + 0.45 * len(gauges))
    widest = max(cap for _, cap in gauges.values())
    for row, (epsilon, cap) in enumerate(gauges.values()):
        axes.barh(row, cap, 0.5, facecolor="none", edgecolor=INK, linewidth=1)
        axes.barh(row, epsilon, 0.5, color=RELEASED)
        inside = epsilon > widest / 3
        beside(axes, epsilon if inside else max(cap, epsilon), row, f"{epsilon:.2f}", inside)
    axes.text(widest, -0.36, label_of("chart", "cap"), ha="right", va="bottom")
    rows(axes, [label_of("purpose", purpose) for purpose in gauges])
    axes.set_xlim(0, widest * 1.02)
    axes.set_xlabel(label_of("chart", "epsilon"))
    return svg(figure, "spent")


@styled
def consent(granted: Mapping[str, int], nothing: int, households: int) -> str:
    """Return how many households allowed each purpose, and how many nothing beyond the contract."""
    bars = [(label_of("purpose", purpose), count) for purpose, count in granted.items()]
    bars.append((label_of("chart", "nothing"), nothing))
    figure, axes = canvas(4.3, 0.6 + 0.42 * len(bars))
    for row, (_, count) in enumerate(bars):
        axes.barh(row, count, 0.6, color=RELEASED if row < len(granted) else PALE)
        beside(axes, count, row, f"{count:,} ({count / households:.0%})")
    rows(axes, [label for label, _ in bars])
    axes.xaxis.set_visible(False)
    axes.spines["bottom"].set_visible(False)
    return svg(figure, "consent")


def _median(axes: Axes, median: float | None, scale: Scale, colour: str, line: str) -> None:
    if median is not None:
        axes.axvline(median / scale.units, color=colour, linestyle=line, linewidth=1.6)


def _log_edges(edges: Sequence[float]) -> list[float]:
    """Return the edges, the first moved to where a log axis can show it when it is zero or below."""
    first = edges[0] if edges[0] > 0 else edges[1] ** 2 / edges[2]
    return [first, *edges[1:]]
