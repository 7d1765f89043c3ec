"""Report and terminal begin with what the run won and what it lost, not with how it went."""

import copy
import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from covey_simulations.report import conclusions, pages, terminal_summary

EXAMPLE = json.loads((Path(__file__).parents[2] / "simulations" / "example_report.json").read_text("utf-8"))


@pytest.fixture
def found():
    return copy.deepcopy(EXAMPLE)


def printed(found) -> list[str]:
    console = Console(file=io.StringIO(), width=300)
    terminal_summary.print_summary(found, console)
    return console.file.getvalue().splitlines()


def test_the_first_screen_says_what_won_and_lost(found):
    first = pages.render_page(found).split("<h2>")[1:3]
    assert ["What was won" in first[0], "What was lost" in first[1]] == [True, True]
    assert ["得到了什么" in first[0], "失去了什么" in first[1]] == [True, True]
    told = conclusions.draw_conclusions(found)
    lines = printed(found)[: len(told)]
    assert [line[:4].strip() for line in lines] == [each.outcome.upper() for each in told]
    assert any(line.startswith("WON ") for line in lines)
    assert any(line.startswith("LOST") for line in lines)


def test_every_rival_is_named_with_its_outcome(found):
    for task in ("new", "again"):
        for rival, recall in found["recommender"][task]["recall_at_10"].items():
            if rival != "federated":
                points = f"{100 * recall:.2f}"
                assert any(
                    points in each.en and points in each.zh for each in conclusions.draw_conclusions(found)
                )


@pytest.mark.parametrize(
    ("ends", "outcome"), [([0.001, 0.002], "won"), ([-0.002, -0.001], "lost"), ([-0.1, 0.1], "even")]
)
def test_the_outcome_is_that_of_the_interval(found, ends, outcome):
    found["recommender"]["new"]["interval"]["popularity"]["recall_at_10"] = ends
    (told,) = [
        each for each in conclusions.draw_conclusions(found) if "new" in each.en and "Best sellers" in each.en
    ]
    assert told.outcome == outcome


def test_a_run_whose_proof_fails_loses_by_it(found):
    found["sums_checked"] = False
    assert "does NOT hold" in " ".join(
        each.en for each in conclusions.draw_conclusions(found) if each.outcome == "lost"
    )


def test_all_groups_hidden_are_a_loss_and_no_error(found):
    q1 = found["analytics"]["q1"]
    q1["released"] = dict.fromkeys(q1["released"])
    assert re.search(
        "8 of 8 are not shown",
        " ".join(e.en for e in conclusions.draw_conclusions(found) if e.outcome == "lost"),
    )
