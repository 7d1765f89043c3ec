"""The page's table of attacks is what is observed, on Covey and on Flower's own SecAgg+ alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from covey_models import QUERIES
from covey_privacy.floors import TEST
from covey_privacy.protocol_rules import Rule
from covey_sdk.manifest_check import OpenedManifest, check_manifest
from covey_simulations.attacks import covey, flower, table

PAGE = (Path(__file__).parents[2] / "docs/threats.md").read_text("utf-8")


@pytest.mark.parametrize("number", range(len(table.ROWS)), ids=[row.attack for row in table.ROWS])
def test_a_row_of_the_page_is_what_is_observed(number):
    assert table.table_of_page(PAGE)[number] == str(table.ROWS[number])


def test_the_page_has_every_row_and_no_other():
    assert len(table.table_of_page(PAGE)) == len(table.ROWS)


def test_covey_answers_no_attack_and_every_name_in_the_page_is_a_rules():
    column = [row.split(" | ")[1] for row in table.table_of_page(PAGE)]
    assert not any("answers" in cell or "**" in cell for cell in column)
    names = [cell.split("`")[1] for cell in column if "`" in cell]
    assert set(names) <= {str(rule) for rule in Rule}
    assert len(names) == len(table.ROWS) - 2


def test_another_table_in_the_page_is_found(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(table, "ROWS", table.ROWS[-1:])
    page = tmp_path / "threats.md"
    page.write_text(f"before\n{table.BEGIN}{table.END}after\n", "utf-8")
    assert table.main([str(page), "--write"]) == 0
    assert table.main([str(page)]) == 0
    page.write_text(page.read_text("utf-8").replace("two pads", "one pad", 1), "utf-8")
    assert table.main([str(page)]) == 1
    assert "another table" in capsys.readouterr().err


@pytest.mark.parametrize("step", covey.STEPS)
def test_coveys_phone_and_decryptor_answer_an_honest_coordinator(step):
    assert covey.refusal(lambda: covey.act(step)) is None


def test_what_attacks_are_made_of_is_answered_where_it_is_honest():
    """Else the attacks would be refused for another reason than the lie."""
    played = covey.AttackedRound("open")
    assert covey.refusal(lambda: played.open(played.open_set(played.members, ()))) is None
    played = covey.AttackedRound("check")
    assert covey.refusal(played.check) is None
    for setting in (covey.STANDING, covey.DRAWN):
        played = covey.AttackedRound("contribute", setting)
        assert (
            covey.refusal(lambda played=played: played.deal(played.with_seats(lambda seats: seats))) is None
        )
    invited = OpenedManifest(covey.plan_manifest(), bytes(32))
    assert covey.refusal(lambda: check_manifest(invited, QUERIES["q1"], (), TEST)) is None


@pytest.mark.parametrize("stage", flower.Stage.all())
def test_a_client_of_flowers_answers_an_honest_server(stage):
    assert flower.outcome(lambda: flower.FlowerRound(stage).tell()) == "**answers**"
