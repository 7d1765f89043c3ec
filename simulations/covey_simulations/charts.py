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

RELEASED, TRUTH, INK = "#0072B2", "#E69F00", "#333333"
PALE, HAZE = "#D9D9D9", "#DCEAF3"

_STYLE: dict[Any, Any] = {
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
_styled = mpl.rc_context(_STYLE)
_NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))
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


def name(group: str, key: str, language: str = "en") -> str:
    """Return what `key` is called in "en" or "zh"; `key` itself where it has no name."""
    return NAMES[group].get(key, {}).get(language, key)


def least_released(sd: float, least_cell: int) -> int:
    """Return the count below which a cell is not released: `least_cell`, or three standard deviations."""
    return max(least_cell, math.ceil(3 * sd))


@_styled
def segments(query: Mapping[str, Any]) -> str:
    """Return released against true counts of each segment.

    Bars carry two standard deviations of noise each way; a diamond marks the count without noise.
    """
    figure, axes = _canvas(4.3, 4.6)
    bound = least_released(query["sd"], query["least_cell"])
    for row, (segment, count) in enumerate(query["released"].items()):
        if count is None:
            axes.barh(row - 0.2, bound, 0.36, **_EMPTY_BAR)
            _beside(axes, bound, row - 0.2, f"< {bound}")
        else:
            noise = 2 * query["sd"]
            axes.barh(row - 0.2, count, 0.36, color=RELEASED, xerr=noise, capsize=3, ecolor=INK)
            _beside(axes, count + noise, row - 0.2, f"{count:,}")
        axes.plot(query["at_released_cuts"][segment], row - 0.2, "D", ms=5, mfc="white", mec=INK)
        axes.barh(row + 0.2, query["truth"][segment], 0.36, **_TRUE_BAR)
    _rows(axes, [name("segment", segment) for segment in query["released"]])
    axes.set_xlabel(name("chart", "people"))
    return _svg(figure, "segments")


@_styled
def histogram(fact: str, query: Mapping[str, Any], least_cell: int) -> str:
    """Return released against true bins of one fact on a log axis, with both medians as lines."""
    figure, axes = _canvas(3.3, 2.6)
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
    axes.set(xlabel=name("chart", scale.label), ylabel=name("chart", "people"))
    return _svg(figure, f"histogram-{fact}")


@_styled
def spent(per_purpose: Mapping[str, float], cap: float) -> str:
    """Return the epsilon that each purpose has spent, as a gauge that ends at the cap."""
    figure, axes = _canvas(4.3, 0.9 + 0.45 * len(per_purpose))
    for row, epsilon in enumerate(per_purpose.values()):
        axes.barh(row, cap, 0.5, facecolor="none", edgecolor=INK, linewidth=1)
        axes.barh(row, epsilon, 0.5, color=RELEASED)
        _beside(axes, epsilon, row, f"{epsilon:.2f}", inside=epsilon > cap / 3)
    axes.text(cap, -0.36, name("chart", "cap"), ha="right", va="bottom")
    _rows(axes, [name("purpose", purpose) for purpose in per_purpose])
    axes.set_xlim(0, cap * 1.02)
    axes.set_xlabel(name("chart", "epsilon"))
    return _svg(figure, "spent")


@_styled
def consent(granted: Mapping[str, int], nothing: int, households: int) -> str:
    """Return how many households allowed each purpose, and how many nothing beyond the contract."""
    rows = [(name("purpose", purpose), count) for purpose, count in granted.items()]
    rows.append((name("chart", "nothing"), nothing))
    figure, axes = _canvas(4.3, 0.6 + 0.42 * len(rows))
    for row, (_, count) in enumerate(rows):
        axes.barh(row, count, 0.6, color=RELEASED if row < len(granted) else PALE)
        _beside(axes, count, row, f"{count:,} ({count / households:.0%})")
    _rows(axes, [label for label, _ in rows])
    axes.xaxis.set_visible(False)
    axes.spines["bottom"].set_visible(False)
    return _svg(figure, "consent")


def _beside(axes: Axes, x: float, y: float, text: str, inside: bool = False) -> None:
    """Write a bar's value behind its end at x, or before it."""
    side, colour, points = ("right", "white", -4) if inside else ("left", INK, 4)
    axes.annotate(text, (x, y), (points, 0), textcoords="offset points", ha=side, va="center", color=colour)


def _median(axes: Axes, median: float | None, scale: Scale, colour: str, line: str) -> None:
    if median is not None:
        axes.axvline(median / scale.units, color=colour, linestyle=line, linewidth=1.6)


def _log_edges(edges: Sequence[float]) -> list[float]:
    """Return the edges, the first moved to where a log axis can show it when it is zero or below."""
    first = edges[0] if edges[0] > 0 else edges[1] ** 2 / edges[2]
    return [first, *edges[1:]]


def _canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """Return a figure of width x height inches with one pair of axes."""
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
