import copy
import html
import json
import math
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from jinja2 import UndefinedError

from covey_simulations.report import chart_style, charts, conclusions, pages

EXAMPLE = Path(__file__).with_name("example_report.json")


@pytest.fixture
def found() -> dict[str, Any]:
    return json.loads(EXAMPLE.read_text("utf-8"))


class Page(HTMLParser):
    """The page's texts by language, its attributes, its elements."""

    CODE = ("code", "pre", "style", "title")
    VOID = ("meta", "input", "br", "path", "use", "rect")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.texts: dict[str, list[str]] = {"en": [], "zh-Hans": [], "": []}
        self._languages: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in self.VOID:
            inherited = self._languages[-1] if self._languages else ""
            own = dict(attrs).get("lang") or inherited
            self._languages.append("code" if tag in self.CODE else "" if tag == "html" else own)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            self._languages.pop()

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self._languages[-1] if self._languages else "", []).append(data)

    def __contains__(self, text: str) -> bool:
        return any(text in part for parts in self.texts.values() for part in parts)


@pytest.fixture(scope="module")
def schema() -> Any:
    text = resources.files("covey_simulations.report").joinpath("report.schema.json").read_text("utf-8")
    return jsonschema.Draft202012Validator(json.loads(text))


def _objects(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield schema
        schema = list(schema.values())
    if isinstance(schema, list):
        for part in schema:
            yield from _objects(part)


def test_the_schema_is_one_and_takes_a_report(schema: Any, found: dict[str, Any]) -> None:
    schema.check_schema(schema.schema)
    schema.validate(found)


def test_the_schema_closes_every_object(schema: Any) -> None:
    assert all("additionalProperties" in part for part in _objects(schema.schema))


def test_the_schema_describes_every_field(schema: Any) -> None:
    fields = [field for part in _objects(schema.schema) for field in part.get("properties", {}).items()]
    plain = {"recency", "frequency", "monetary", *chart_style.NAMES["segment"]}
    assert [name for name, field in fields if name not in plain and not field.get("description")] == []


@pytest.mark.parametrize("field", sorted(json.loads(EXAMPLE.read_text("utf-8"))))
def test_a_missing_field_is_refused(schema: Any, found: dict[str, Any], field: str) -> None:
    del found[field]
    with pytest.raises(jsonschema.ValidationError, match=field):
        schema.validate(found)


def test_an_unknown_field_is_refused(schema: Any, found: dict[str, Any]) -> None:
    found["rounds"][0]["members"] = ["household 1228"]
    with pytest.raises(jsonschema.ValidationError, match="members"):
        schema.validate(found)


def test_the_json_is_the_report(found: dict[str, Any], tmp_path: Path) -> None:
    pages.write_report(found, tmp_path / "new" / "folder")
    text = (tmp_path / "new" / "folder" / "report.json").read_text("utf-8")
    assert json.loads(text) == found
    assert "参与合并统计" in text


def test_writing_again_replaces_both_files_and_leaves_nothing_else(
    found: dict[str, Any], tmp_path: Path
) -> None:
    pages.write_report(found, tmp_path)
    pages.write_report({**found, "households": 1234}, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.json"]
    assert "1,234" in (tmp_path / "report.html").read_text("utf-8")
    assert json.loads((tmp_path / "report.json").read_text("utf-8"))["households"] == 1234


@pytest.mark.parametrize("damage", [{"seconds": math.nan}, {"rounds": []}, {"log": {}}])
def test_a_damaged_report_leaves_the_last_one_as_it_was(
    found: dict[str, Any], tmp_path: Path, damage: dict[str, Any]
) -> None:
    pages.write_report(found, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises((KeyError, ValueError, UndefinedError)):
        pages.write_report({**found, **damage}, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_the_same_report_gives_the_same_page(found: dict[str, Any]) -> None:
    assert pages.render_page(found) == pages.render_page(copy.deepcopy(found))


def test_the_page_shows_every_figure(found: dict[str, Any]) -> None:
    page = Page(pages.render_page(found))
    q1 = found["analytics"]["q1"]
    counts = [*q1["truth"].values(), *(count for count in q1["released"].values() if count is not None)]
    figures = [
        "1,000",
        "852",
        "683",
        "640",
        "148",
        "50,123",
        "31,000",
        "671",
        "649",
        "641",
        "34",
        "12.1",
        "3.4",
    ]
    figures += ["7.37", "6.68", "10.23", "52.48", "7.90", "9.45", "10.00", "5,120", "2,378", "111"]
    figures += ["3.2", "55.4", "$28.71", "+3", "(+2.8%)", "1.55", "2.00", "1 in 1,000,000"]
    figures += ["99.99 times in 100", "52/52", "52/53", "613", "648", "676", "#13", "#19", "0.50"]
    assert [figure for figure in [*figures, *map(str, counts)] if figure not in page] == []
    assert found["log"]["checkpoint"].strip() in page
    assert page.tags.count("svg") == 11


def test_errors_are_given_in_people_and_in_percent(found: dict[str, Any]) -> None:
    found["analytics"]["q1"]["released"]["general_win_back"] = 99
    page = Page(pages.render_page(found))
    assert "is off by 11 people (10.0%)" in "".join(page.texts["en"])
    assert "−11" in "".join(pages.render_page(found).split())
    assert "(−10.0%)" in "".join(pages.render_page(found).split())


def test_a_true_zero_has_no_relative_error() -> None:
    assert pages.Figure("x", 5, 0).relative is None
    assert pages.Figure("x", 5, 0).gap == 5


def test_a_suppressed_cell_shows_its_bound_and_no_number(found: dict[str, Any]) -> None:
    svg = charts.segments(found["analytics"]["q1"])
    assert svg.count("&lt; 50") == 2
    rows = [row for row in pages.render_page(found).split("<tr>") if "Fading regulars</span>" in row]
    assert sum("<b>&lt; 50</b>" in row for row in rows) == 1


def test_wide_noise_raises_the_bound(found: dict[str, Any]) -> None:
    found["analytics"]["q1"]["sd"] = 19.0
    assert charts.segments(found["analytics"]["q1"]).count("&lt; 57") == 2


def test_a_report_with_everything_suppressed_still_renders(found: dict[str, Any]) -> None:
    q1, q20 = found["analytics"]["q1"], found["analytics"]["q20"]
    q1["released"] = dict.fromkeys(q1["released"])
    q20["released"] = dict.fromkeys(q20["released"])
    assert "All 8 groups were too small to release." in Page(pages.render_page(found))
    assert "not released" in Page(pages.render_page(found))


def test_data_are_never_markup(found: dict[str, Any]) -> None:
    evil = "<script>alert(1)</script><img src=http://example.test>"
    found["ledger"]["entries"][0] |= {"en": evil, "zh": evil}
    found["ledger"]["device"] = found["dataset"] = found["log"]["checkpoint"] = evil
    found["example"]["tags"][0] |= {
        "id": evil,
        "value": evil,
        "test": {"en": evil, "zh": evil},
        "evidence": [{"fact": evil, "value": 1, "cut": 2, "window_days": 30}],
    }
    found["granted"]["<script>"] = 3
    entry = found["recommender"]["list"]["new"][0]
    entry["item"] = evil
    entry["reasons"][0] |= {"code": evil, "about": evil, "en": evil, "zh": evil}
    found["recommender"]["list"]["device"] = evil
    page = pages.render_page(found)
    assert "<script" not in page
    assert "<img" not in page
    assert html.escape(evil) in page


def test_the_page_needs_nothing_from_elsewhere(found: dict[str, Any]) -> None:
    text = pages.render_page(found)
    page = Page(text)
    loading = ("src", "srcset", "href", "xlink:href", "action", "data")
    links = [value for name, value in page.attributes if name in loading]
    assert links
    assert [link for link in links if not link.startswith("#")] == []
    assert re.findall(r"https?:|@import|url\((?!#)", text) == []
    assert {"script", "link", "iframe", "img"}.isdisjoint(page.tags)


def test_ids_on_the_page_are_unique(found: dict[str, Any]) -> None:
    ids = re.findall(r'\bid="([^"]*)"', pages.render_page(found))
    assert len(ids) == len(set(ids))


def test_every_chart_is_described_by_a_reading_on_the_page(found: dict[str, Any]) -> None:
    text = pages.render_page(found)
    described = re.findall(r'<svg role="img" aria-labelledby="([^"]*)"', text)
    assert len(described) == 11
    assert all(f'<figcaption id="{reading}">' in text for reading in described)


def test_every_word_stands_in_both_languages(found: dict[str, Any]) -> None:
    page = Page(pages.render_page(found))
    outside = {"Covey", "English", "中文", "Complete Journey (dunnhumby)", "household 1228", "s", "ε", "sd"}
    listed = found["recommender"]["list"]
    outside |= {entry["item"] for ranking in ("new", "again") for entry in listed[ranking]}
    outside |= {"CANDY BARS…"}
    words = {word.strip(" \n·") for word in page.texts[""]} - outside
    assert [word for word in words if re.search(r"[A-Za-z\u4e00-\u9fff]", word)] == []
    assert not re.search(r"[\u4e00-\u9fff]", "".join(page.texts["en"]))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("log", "verified"), False),
        (("sums_checked",), False),
        (("withdrawn", "contributions_after"), 2),
        (("withdrawn", "train", "contributions_after"), 1),
        (("withdrawn", "train", "left_behind", "model"), 1),
        (("withdrawn", "certificates", "verified"), 60),
    ],
)
def test_a_failed_check_is_said_at_the_top(
    found: dict[str, Any], path: tuple[str, ...], value: bool | int
) -> None:
    warning = "A check of this run failed."
    assert warning not in pages.render_page(found)
    *folders, field = path
    part = found
    for folder in folders:
        part = part[folder]
    part[field] = value
    text = pages.render_page(found)
    assert warning in text
    assert text.count('<span class="bad">✗') == 1


def test_the_test_profile_and_the_shared_operator_are_said(found: dict[str, Any]) -> None:
    assert "One operator runs both" in pages.render_page(found)
    assert "were opened with" not in pages.render_page(found)
    found["profile"], found["parameters"]["shared_operator"] = "test", False
    assert "One operator runs both" not in pages.render_page(found)
    assert "were opened with the “test” floors" in Page(pages.render_page(found))


def test_odds_are_even_without_a_release_and_bounded_by_epsilon_and_delta() -> None:
    assert pages.odds(0, 0) == 0.5
    assert pages.odds(0, 1) == 1
    assert pages.odds(math.log(3), 0) == pytest.approx(0.75)


def test_an_axis_from_zero_can_still_be_drawn(found: dict[str, Any]) -> None:
    q20 = found["analytics"]["q20"]
    q20["histograms"]["recency"]["edges"][0] = 0.0
    assert "<svg" in charts.histogram("recency", q20, 50)


def test_both_accountants_and_the_chance_of_a_corrupt_draw_are_shown(found: dict[str, Any]) -> None:
    shown = Page(pages.render_page(found))
    assert "10.12 by Rényi divergence, 9.45 by the Gaussian distribution." in shown
    assert "the chance that the lot seats enough corrupt phones" in shown
    found["epsilon"]["accountants"]["gaussian"] = None
    assert "按高斯分布为 –。" in Page(pages.render_page(found))


def _with_standing_alone(found: dict[str, Any]) -> None:
    found["parameters"]["committees"] = "standing"
    for played in found["rounds"]:
        played["committees"] = played["committees"][:1]


def _with_drawn_alone(found: dict[str, Any]) -> None:
    found["parameters"] |= {"committees": "drawn", "organisations": {}}
    for played in found["rounds"]:
        played["committees"] = played["committees"][1:]


def _english(found: dict[str, Any]) -> str:
    return " ".join("".join(Page(pages.render_page(found)).texts["en"]).split())


def test_the_page_tells_of_the_committees_that_a_run_had(schema: Any, found: dict[str, Any]) -> None:
    organisations, drawn = "2 of their 4 keys; 1 tells nothing.", "34 of the 52 decryptors of the first round"
    both = "either half alone is worth nothing"
    assert [said in _english(found) for said in (organisations, drawn, both)] == [True, True, True]
    standing_alone = copy.deepcopy(found)
    _with_standing_alone(standing_alone)
    _with_drawn_alone(found)
    for alone in (found, standing_alone):
        schema.validate(alone)
    assert [said in _english(found) for said in (organisations, drawn, both)] == [False, True, False]
    assert [said in _english(standing_alone) for said in (organisations, drawn, both)] == [True, False, False]


def test_an_organisation_with_enough_keys_to_open_alone_is_said_to_have_them(found: dict[str, Any]) -> None:
    assert "one organisation alone has 2 of these keys" in _english(found)
    found["parameters"]["organisations"] = dict.fromkeys("abcd", 1)
    assert "No organisation has so many by itself: the most that one has is 1." in _english(found)


def _outcomes(found: dict[str, Any]) -> list[tuple[str, str]]:
    return [(verdict.outcome, verdict.en[:26]) for verdict in conclusions.draw_conclusions(found)]


def test_sums_that_are_not_proved_are_counted_as_lost(found: dict[str, Any]) -> None:
    assert "In 2 of 5 rounds so many decryptors agreed" in _english(found)
    assert ("lost", "The sums: in 2 of 5 rounds") in _outcomes(found)
    for played in found["rounds"]:
        played["integrity_proved"] = True
    assert ("won", "The sums: in 5 of 5 rounds") in _outcomes(found)
    assert "not proved" not in _english(found).partition("What this way of adding up costs")[0]


def test_no_certificate_of_people_who_left_proves_nothing(found: dict[str, Any]) -> None:
    withdrawn = found["withdrawn"]
    assert conclusions.absence_proved(withdrawn)
    withdrawn["certificates"] = {"made": 0, "verified": 0}
    assert not conclusions.absence_proved(withdrawn)
    withdrawn["count"] = withdrawn["train"]["count"] = 0
    assert conclusions.absence_proved(withdrawn)


def test_the_documents_of_a_log_are_listed_and_its_decisions_counted(found: dict[str, Any]) -> None:
    decisions = [{"index": index, "kind": "consent event"} for index in range(2000)]
    found["log"]["entries"] = [*decisions, *found["log"]["entries"]]
    listed = _english(found).partition("The log's entries")[2]
    assert "2,063 entries are each a hash of one person's decision" in listed
    assert listed.count("what a round did") == 5
