"""Pictures ship no font and name none: their texts, Chinese ones too, are drawn in the page's."""

import json
import re
import warnings
from pathlib import Path

import pytest

from covey_simulations.report import chart_style, pages, ranking_charts

EXAMPLE = json.loads((Path(__file__).parents[2] / "simulations" / "example_report.json").read_text("utf-8"))


def chart(item: str) -> str:
    reasons = [{"amount": 1.0, "code": "popular"}]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return ranking_charts.reasons("new", [{"item": item, "score": 1.0, "reasons": reasons}])


@pytest.mark.parametrize("item", ["绿茶饮料", "tea 绿茶 <1 L>"])
def test_pictures_take_the_pages_fonts(item):
    drawn = chart(item)
    assert item.replace("<", "&lt;").replace(">", "&gt;") in drawn
    assert "font-family" not in drawn
    assert not re.search("font: ", drawn)


def test_no_picture_of_the_report_names_a_font():
    pictures = re.findall("<svg.*?</svg>", pages.render_page(EXAMPLE), re.DOTALL)
    assert len(pictures) == 11
    assert [picture for picture in pictures if re.search("font-family|font: |@font-face", picture)] == []


def test_a_font_in_the_shorthand_is_taken_out_too(monkeypatch):
    figure, axes = chart_style.canvas(2, 1)
    axes.set_xlabel("x")

    def save(buffer, **_options):
        buffer.write(
            '<svg width="1"><text style="font: 9px \'DejaVu Sans\', sans-serif; fill: #333">x</text></svg>'
        )

    monkeypatch.setattr(figure, "savefig", save)
    assert '<text style="font-size: 9px; fill: #333">x</text>' in chart_style.svg(figure, "c")


def test_a_long_name_without_spaces_is_cut_not_lost():
    assert "绿" * 25 + "…" in chart("绿" * 40)
