"""What cannot be done is said at once, not after the work that leads there."""

from pathlib import Path

import pytest

from covey_consent.pack import archive
from covey_simulations.benchmarks import registry as load
from covey_simulations.benchmarks import secagg
from covey_simulations.data import orders
from covey_simulations.scenarios import demo


@pytest.fixture
def nothing_runs(monkeypatch):
    """Fail where anything that takes time begins."""

    def began(*_args, **_options):
        raise AssertionError("the work began")

    for module, name in (
        (orders, "prepare_orders"),
        (load, "settle"),
        (secagg, "MeasuredRound"),
        (archive, "archive"),
    ):
        monkeypatch.setattr(module, name, began)


def in_the_way(folder: Path) -> Path:
    (folder / "report.html").mkdir()
    return folder


@pytest.mark.parametrize(
    ("place", "says"),
    [
        (lambda folder: Path("/proc/nothing/here"), "where nothing can be written"),
        (lambda folder: Path("/proc/nothing"), "where nothing can be written"),
        (in_the_way, "report.html is a folder"),
    ],
)
def test_inputs_are_checked_before_anything_runs(covey_here, tmp_path, nothing_runs, place, says):
    refused = covey_here("demo", "--out", place(tmp_path))
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert says in refused.stderr


@pytest.mark.parametrize("households", [0, demo.LEAST_HOUSEHOLDS - 1, demo.MOST_HOUSEHOLDS + 1])
def test_too_few_or_many_households_are_refused_at_once(covey_here, tmp_path, nothing_runs, households):
    refused = covey_here("demo", "--out", tmp_path / "a" / "b", "--households", households)
    assert refused.returncode == 2
    assert f"{demo.LEAST_HOUSEHOLDS} to {demo.MOST_HOUSEHOLDS} was expected" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_help_states_how_many_households_there_can_be(covey_here):
    assert f"{demo.LEAST_HOUSEHOLDS} to {demo.MOST_HOUSEHOLDS}" in covey_here("demo", "--help").stdout


def test_a_place_that_serves_is_left_as_it_was(tmp_path):
    from covey_simulations.report import pages

    pages.require_place(tmp_path / "new" / "folder")
    pages.require_place(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["demo", "--out", "x", "--seed", "-1"], "--seed is -1"),
        (["bench", "secagg", "--clients", "1"], "2 to 10000 clients"),
        (["bench", "secagg", "--lost", "nan"], "--lost is nan"),
        (["bench", "dp", "--length", "0"], "1 to 16777216 entries"),
        (["bench", "registry", "--rows", "0"], "at least 1 person"),
        (["audit", "--runs", "0"], "0 runs were asked for"),
        (["registry", "drill", "erase", "--people", "0"], "a whole number, 1 to"),
        (["registry", "drill", "withdraw", "--subjects", "1"], "1 people were asked for"),
        (["registry", "pack", "--out", "nowhere/pack.zip"], "nowhere is no folder to write to"),
        (["registry", "document", "toms", "--out", "nowhere/toms.md"], "nowhere is no folder to write to"),
        (["registry", "notice", "show", "marketing", "--out", "nowhere/x"], "nowhere is no folder"),
    ],
)
def test_the_other_commands_check_theirs(covey_here, nothing_runs, arguments, says):
    refused = covey_here(*arguments)
    assert refused.returncode == 2
    assert says in refused.stderr + refused.stdout


def test_the_load_generator_is_missed_before_a_million_people_are_made(covey_here, nothing_runs):
    refused = covey_here("bench", "registry", PATH="")
    assert refused.returncode == 2
    assert "wrk makes the load, and is not installed" in refused.stderr
