"""The report's charts, as SVG to stand inside a page.

Words are drawn in English and carry their Chinese beside them; the page's style sheet shows one of the two.
Colours are Okabe and Ito's (2008), told apart by every kind of colour vision and in grey.
"""

from __future__ import annotations

import html
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

NAMES: Mapping[str, Mapping[str, Mapping[str, str]]] = json.loads(
    resources.files(__package__).joinpath("templates", "names.json").read_text("utf-8")
)
"""What things are called: {group: {key: {"en": ..., "zh": ...}}}."""

RELEASED, TRUTH, INK, PALE = "#0072B2", "#E69F00", "#333333", "#D9D9D9"

_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "covey",
    "text.parse_math": False,
    "font.size": 9,
    "hatch.linewidth": 0.6,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))
_TRUE_BAR = {"facecolor": "white", "edgecolor": TRUTH, "hatch": "////", "linewidth": 1}
_EMPTY_BAR = {"facecolor": "none", "edgecolor": RELEASED, "linewidth": 1, "linestyle": (0, (3, 2))}

Cells = Mapping[str, int | None]


@dataclass(frozen=True, slots=True)
class Scale:
    """What a histogram's axis shows: a label of the group `chart`, and the fact's units in one of the axis's."""

    label: str
    units: float = 1.0


SCALES: Mapping[str, Scale] = {
    "recency": Scale("days"),
    "frequency": Scale("orders"),
    "monetary": Scale("dollars", 100),
}


def name(group: str, key: str, language: str = "en") -> str:
    """Return what `key` is called in "en" or "zh"; `key` itself where it has no name."""
    return NAMES[group].get(key, {}).get(language, key)


def least_released(query: Mapping[str, Any], least_cell: int) -> int:
    """Return the count below which a cell is not released: `least_cell`, or three standard deviations."""
    return max(least_cell, math.ceil(3 * query["sd"]))


def segments(query: Mapping[str, Any]) -> str:
    """Return released against true counts of each segment, with two standard deviations of noise each way."""
    figure, axes = _canvas(4.6, 4.6)
    released, truth = query["released"], query["truth"]
    bound = least_released(query, query["least_cell"])
    for row, segment in enumerate(released):
        _released_bar(axes, row - 0.2, released[segment], bound, query["sd"])
        axes.barh(row + 0.2, truth[segment], 0.36, **_TRUE_BAR)
    _rows(axes, [name("segment", segment) for segment in released])
    axes.set_xlabel(name("chart", "people"))
    return _svg(figure, "segments")


def histogram(fact: str, query: Mapping[str, Any], least_cell: int) -> str:
    """Return released against true bins of one fact on a log axis, with both medians as lines."""
    figure, axes = _canvas(3.3, 2.5)
    scale, cells = SCALES[fact], query["histograms"][fact]
    edges = _log_edges([edge / scale.units for edge in cells["edges"]])
    widths = [right - left for left, right in zip(edges, edges[1:], strict=False)]
    bound = least_released(query, least_cell)
    for left, width, count in zip(edges, widths, cells["released"], strict=False):
        bar = _EMPTY_BAR if count is None else {"facecolor": RELEASED, "edgecolor": "white", "linewidth": 0.5}
        axes.bar(left, bound if count is None else count, width, align="edge", **bar)
    axes.stairs(cells["truth"], edges, color=TRUTH, linewidth=1.8)
    for medians, line in ((query["released"], {"color": INK}), (query["truth"], {"color": TRUTH, "ls": "--"})):
        if medians[fact] is not None:
            axes.axvline(medians[fact] / scale.units, linewidth=1.6, **line)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set(xlabel=name("chart", scale.label), ylabel=name("chart", "people"))
    return _svg(figure, f"histogram-{fact}")


def spent(per_purpose: Mapping[str, float], cap: float) -> str:
    """Return the epsilon that each purpose has spent, as a gauge that ends at the cap."""
    figure, axes = _canvas(4.6, 0.9 + 0.45 * len(per_purpose))
    for row, epsilon in enumerate(per_purpose.values()):
        axes.barh(row, cap, 0.5, facecolor="none", edgecolor=INK, linewidth=1)
        axes.barh(row, epsilon, 0.5, color=RELEASED)
        inside = epsilon > cap / 4
        place, colour = ("right", "white") if inside else ("left", INK)
        text = f" {epsilon:.2f} "
        axes.text(epsilon, row, text, color=colour, ha=place, va="center")
    axes.text(cap, -0.36, name("chart", "cap"), ha="right", va="bottom")
    _rows(axes, [name("purpose", purpose) for purpose in per_purpose])
    axes.set_xlim(0, cap * 1.02)
    axes.set_xlabel(name("chart", "epsilon"))
    return _svg(figure, "spent")


def consent(granted: Mapping[str, int], nothing: int, households: int) -> str:
    """Return how many households allowed each purpose, and how many nothing beyond the contract."""
    rows = {name("purpose", purpose): count for purpose, count in granted.items()}
    rows[name("chart", "nothing")] = nothing
    figure, axes = _canvas(4.6, 0.6 + 0.42 * len(rows))
    colours = [RELEASED] * len(granted) + [PALE]
    axes.barh(range(len(rows)), list(rows.values()), 0.6, color=colours)
    for row, count in enumerate(rows.values()):
        axes.text(count + 0.01 * households, row, f"{count:,} ({count / households:.0%})", va="center")
    _rows(axes, list(rows))
    axes.set_xlim(0, households * 1.3)
    axes.xaxis.set_visible(False)
    axes.spines["bottom"].set_visible(False)
    return _svg(figure, "consent")


def _released_bar(axes: Axes, y: float, count: int | None, bound: int, sd: float) -> None:
    if count is None:
        axes.barh(y, bound, 0.36, **_EMPTY_BAR)
        axes.text(bound, y, f"  < {bound}", color=RELEASED, va="center")
        return
    axes.barh(y, count, 0.36, color=RELEASED, xerr=2 * sd, capsize=3, ecolor=INK)
    axes.text(count + 2 * sd, y, f"  {count:,}", va="center")


def _log_edges(edges: Sequence[float]) -> list[float]:
    """Return the edges, the first moved to where a log axis can show it when it is zero or below."""
    first = edges[0] if edges[0] > 0 else edges[1] ** 2 / edges[2]
    return [first, *edges[1:]]


def _canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """Return a figure of width x height inches with one pair of axes."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, figure.subplots()


def _rows(axes: Axes, labels: list[str]) -> None:
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _svg(figure: Figure, chart: str) -> str:
    """Return the figure as one <svg>, its ids its own among a page's charts, described by `chart`-reading."""
    buffer = io.StringIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(buffer, format="svg", metadata=_NO_METADATA, transparent=True)
    body = buffer.getvalue().partition("<svg ")[2].partition(">")[2]
    body = re.sub(r"\s*<defs>\s*<style.*?</style>\s*</defs>", "", body, flags=re.DOTALL)
    body = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{chart}-", body)
    body = re.sub(r"font-family: [^;\"]*;? ?", "", body)
    body = re.sub(r">([^<]+)</text>", _both, body)
    width, height = 72 * figure.get_size_inches()
    return f'<svg role="img" aria-labelledby="{chart}-reading" viewBox="0 0 {width:g} {height:g}">{body}'


def _both(text: re.Match[str]) -> str:
    """Return a drawn text in both languages, or as it is where it is a number."""
    english = text[1].strip()
    chinese = _CHINESE.get(html.unescape(english))
    if chinese is None:
        return text[0]
    return f'><tspan lang="en">{english}</tspan><tspan lang="zh-Hans">{html.escape(chinese)}</tspan></text>'


_CHINESE = {
    texts["en"]: texts["zh"] for group in ("purpose", "segment", "chart") for texts in NAMES[group].values()
}
