"""The tamper drill: each change of the log is found by who should, and by nobody else."""

import json

import pytest

from covey_simulations.commands import tamper as command
from covey_simulations.drills import tamper
from covey_simulations.drills.tamper import AUDITOR, PHONE, REGISTRY, WITNESS

NOTHING, ROW, CHECKPOINT, CUT, FORK = range(5)


@pytest.fixture(scope="module")
def plays(tmp_path_factory):
    return tamper.run_tamper_drill(tmp_path_factory.mktemp("drill"), lambda: 1_800_000_000.0)


@pytest.mark.compliance("PIPL 56", "records that were edited, cut or told twice are found")
def test_each_change_is_found_by_who_should(plays):
    assert [set(play.found) for play in plays] == [
        set(),
        {REGISTRY, AUDITOR},
        {REGISTRY, AUDITOR},
        {PHONE, WITNESS, AUDITOR},
        {PHONE, WITNESS, AUDITOR},
    ]
    assert all(play.as_expected for play in plays)


def test_each_says_what_it_found(plays):
    assert "somebody changed the table" in plays[ROW].found[REGISTRY]
    assert "do not give the checkpoint's root" in plays[ROW].found[AUDITOR]
    assert "not signed by its key" in plays[CHECKPOINT].found[REGISTRY]
    assert "not signed by the log's key" in plays[CHECKPOINT].found[AUDITOR]
    for cut in (CUT, FORK):
        assert "not shown to continue the 106 seen before" in plays[cut].found[PHONE]
        assert "cut or rewritten" in plays[cut].found[AUDITOR]
    assert "the log has 56 entries" in plays[CUT].found[WITNESS]
    assert "no log has both heads: it lied" in plays[FORK].found[WITNESS]
    assert all("\n" not in line for play in plays for line in play.found.values())


def test_the_command_fails_where_somebody_overlooks_a_change(monkeypatch, capsys):
    assert command.tamper(as_json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert [set(one) for one in told] == [{"change", "as_expected", "found"}] * 5
    monkeypatch.setattr(tamper.Scene, "_follow", lambda scene, registry: "")
    assert command.tamper() == 1
    shown = capsys.readouterr().out
    assert shown.count("NOT AS IT SHOULD BE") == 2
    assert "changed: nothing\n  nobody finds anything\n" in shown
