"""The table of attacks on Flower's SecAgg+ in docs/threats.md is what is observed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from covey_privacy.rules import Rule
from covey_simulations.attacks import flower, table

PAGE = (Path(__file__).parents[2] / "docs/threats.md").read_text("utf-8")


@pytest.mark.parametrize("number", range(len(table.ROWS)), ids=[row.attack for row in table.ROWS])
def test_a_row_of_the_page_is_what_is_observed(number):
    assert table.of_page(PAGE)[number] == str(table.ROWS[number])


def test_the_page_has_every_row_and_no_other():
    assert len(table.of_page(PAGE)) == len(table.ROWS)


def test_every_name_in_the_column_of_covey_is_a_rules():
    named = {name for row in table.ROWS for name in re.findall(r"`([^`]+)`", row.covey)}
    assert len(named) > 10
    assert named <= set(map(str, Rule))


def test_another_table_in_the_page_is_found(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(table, "ROWS", table.ROWS[-1:])
    page = tmp_path / "threats.md"
    page.write_text(f"before\n{table.BEGIN}{table.END}after\n", "utf-8")
    assert table.main([str(page), "--write"]) == 0
    assert table.main([str(page)]) == 0
    page.write_text(page.read_text("utf-8").replace("one mask", "two masks", 1), "utf-8")
    assert table.main([str(page)]) == 1
    assert "another table" in capsys.readouterr().err


@pytest.mark.parametrize("stage", flower.Stage.all())
def test_a_client_of_flowers_answers_an_honest_server(stage):
    assert flower.outcome(lambda: flower.Round(stage).tell()) == "**answers**"
