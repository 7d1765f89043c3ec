"""The program that holds a report against an evidence pack, with packs that hold what it reads."""

import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from covey_simulations.report import compare_report

EXAMPLE = Path(__file__).with_name("example_report.json")
KINDS = {"standing": 1, "drawn": 2}


@pytest.fixture
def found() -> dict[str, Any]:
    return json.loads(EXAMPLE.read_text("utf-8"))


def evidence(played: dict[str, Any]) -> dict[str, Any]:
    """Return the evidence of a round of the report, as a pack tells it."""
    says = {
        "round_id": played["round"],
        "query": played["query"],
        **{name: played[name] for name in ("sigma", "epsilon", "honest", "integrity_proved")},
        "cohort": played["included"] // 10 * 10,
        "excluded": (played["included"] - played["final"]) // 10 * 10,
        "committees": [{**each, "kind": KINDS[each["kind"]]} for each in played["committees"]],
        "outcome": "released",
    }
    return {"index": played["evidence_index"], "kind": "evidence", "says": says}


@pytest.fixture
def compared(found: dict[str, Any], tmp_path: Path) -> Callable[[], list[str]]:
    """Return what compares the report, as it is by then, with the pack of the report as it was."""
    pack, shown = tmp_path / "pack.zip", tmp_path / "report.json"
    with zipfile.ZipFile(pack, "w") as container:
        container.writestr("documents.json", json.dumps([evidence(played) for played in found["rounds"]]))
        container.writestr("checkpoint", found["log"]["checkpoint"])

    def compare() -> list[str]:
        shown.write_text(json.dumps(found), "utf-8")
        return compare_report.compare(str(pack), str(shown))

    return compare


def test_a_report_agrees_with_its_evidence(compared: Callable[[], list[str]]) -> None:
    lines = compared()
    assert len(lines) == 5
    assert lines[1] == (
        "round q1-1-ab12cd34 (q1): sigma 3.4, epsilon 1.4, honest 581; "
        "opened by 4 of 4 standing, 52 of 53 drawn; as logged at 19"
    )


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("round", "q1-2-ab12cd34", "round is q1-2-ab12cd34, the log says q1-1-ab12cd34"),
        ("query", "q20", "query is q20"),
        ("sigma", 3.5, "sigma is 3.5, the log says 3.4"),
        ("epsilon", 1.3, "epsilon is 1.3"),
        ("honest", 582, "honest is 582"),
        ("included", 650, "cohort is 650, the log says 640"),
        ("included", 639, "cohort is 630, the log says 640"),
        ("final", 631, "excluded is 10, the log says 0"),
        ("committees", [], "committees is []"),
        ("integrity_proved", True, "integrity_proved is True, the log says False"),
        ("evidence_index", 18, "entry 18 of the log is no evidence"),
    ],
)
def test_a_figure_that_the_log_does_not_say_is_named(
    found: dict[str, Any], compared: Callable[[], list[str]], field: str, value: Any, said: str
) -> None:
    found["rounds"][1][field] = value
    with pytest.raises(ValueError, match=re.escape(said)):
        compared()


@pytest.mark.parametrize(
    ("name", "value"), [("kind", "drawn"), ("members", 5), ("threshold", 3), ("opened", 3)]
)
def test_a_committee_that_the_log_does_not_say_is_named(
    found: dict[str, Any], compared: Callable[[], list[str]], name: str, value: Any
) -> None:
    found["rounds"][1]["committees"][0][name] = value
    with pytest.raises(ValueError, match="committees is"):
        compared()


def test_a_round_that_the_report_leaves_out_is_named(
    found: dict[str, Any], compared: Callable[[], list[str]]
) -> None:
    del found["rounds"][1]
    with pytest.raises(ValueError, match=r"leaves out the rounds whose evidence is at \[19\]"):
        compared()


def test_counts_may_differ_within_the_tens_that_evidence_tells(
    found: dict[str, Any], compared: Callable[[], list[str]]
) -> None:
    found["rounds"][1] |= {"included": 649, "final": 640}
    assert len(compared()) == 5
