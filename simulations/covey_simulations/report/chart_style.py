"""What the report's charts are drawn with: one look, two languages, SVG to stand inside a page.

Words are drawn in English and carry their Chinese beside them; the page's style sheet shows one of the two.
Colours are Okabe and Ito's (2008), told apart by every kind of colour vision and in grey.
"""

from __future__ import annotations

import html
import io
import json
import re
import unicodedata
from collections.abc import Mapping
from importlib import resources
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

NAMES: Mapping[str, Mapping[str, Mapping[str, str]]] = json.loads(
    resources.files(__package__).joinpath("templates", "names.json").read_text("utf-8")
)
"""What things are called: {group: {key: {"en": ..., "zh": ...}}}."""

RELEASED, TRUTH, INK = "#0072B2", "#E69F00", "#333333"
PALE, HAZE = "#D9D9D9", "#DCEAF3"

SKY, GREEN, PINK, YELLOW = "#56B4E9", "#009E73", "#CC79A7", "#F0E442"

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
styled = mpl.rc_context(_STYLE)
_NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))


def label_of(group: str, key: str, language: str = "en") -> str:
    """Return what `key` is called in "en" or "zh"; `key` itself where it has no name."""
    return NAMES[group].get(key, {}).get(language, key)


def stand_in(text: str, place: int) -> str:
    """Return what matplotlib measures in place of a text, told apart by its place in the chart.

    Its font has no Chinese: every wide character is an M, which takes as much room. `svg` puts the text
    back, and the page's own fonts draw it.
    """
    wide = ["M" if unicodedata.east_asian_width(letter) in "WF" else letter for letter in text]
    return text if "".join(wide) == text else f"{''.join(wide)}.{place}"


def beside(axes: Axes, x: float, y: float, text: str, inside: bool = False) -> None:
    """Write a bar's value behind its end at x, or before it."""
    side, colour, points = ("right", "white", -4) if inside else ("left", INK, 4)
    axes.annotate(text, (x, y), (points, 0), textcoords="offset points", ha=side, va="center", color=colour)


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """Return a figure of width x height inches with one pair of axes."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def rows(axes: Axes, labels: list[str]) -> None:
    """Name the bars of a chart, the first one on top."""
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def svg(figure: Figure, chart: str, stood_in: Mapping[str, str] | None = None) -> str:
    """Return the figure as one <svg>, its ids its own among a page's charts, described by `chart`-reading.

    Its texts name no font: they are in the page's. `stood_in` gives the text for each stand-in drawn.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata=_NO_METADATA, transparent=True)
    body = buffer.getvalue().partition("<svg ")[2].partition(">")[2]
    body = re.sub(r"\s*<defs>\s*<style.*?</style>\s*</defs>", "", body, flags=re.DOTALL)
    body = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{chart}-", body)
    body = re.sub(r"font-family: [^;\"]*;? ?", "", body)
    body = re.sub(r"font: ((?:\w+ )*?)([\d.]+px) [^;\"]*", r"font-size: \2", body)
    for drawn, text in (stood_in or {}).items():
        body = body.replace(f">{html.escape(drawn, quote=False)}<", f">{html.escape(text, quote=False)}<")
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
    texts["en"]: texts["zh"]
    for group in ("purpose", "segment", "chart", "ranker", "metric")
    for texts in NAMES[group].values()
}
