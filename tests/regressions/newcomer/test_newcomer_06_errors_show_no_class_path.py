"""What a command says of an error is for its user: one line without tracebacks and names of classes."""

import re

import covey as command_line
import pytest

from covey_simulations.data import orders
from covey_simulations.errors import SetupError

INTERNAL = re.compile(
    r"Traceback|<class|\b[a-z_]\w*(?:\.\w+)*\.[A-Z]\w+|\b[A-Z]\w*(?:Error|Exception)\b|pydantic|EnvSettings"
)
"""A traceback, a class by its path, an exception by its name, a library's own words."""


def require_plain(done) -> str:
    """Return the line that a failed command says, held against what no error may show."""
    assert done.returncode in (1, 2)
    lines = done.stderr.strip().splitlines() or done.stdout.strip().splitlines()
    assert not INTERNAL.search(done.stdout + done.stderr), done.stdout + done.stderr
    return lines[-1]


def test_errors_show_no_class_path(covey):
    said = require_plain(covey("demo", "--out", "x", "--households", "9999"))
    assert said.startswith("covey: ")


def test_the_data_sets_reader_says_what_it_found_alone(tmp_path):
    with pytest.raises(SetupError, match=r"^9999 households were asked for"):
        orders.prepare_orders(tmp_path / "orders", 1, 9999)


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        ("SLOTS", "abc", "COVEY_REGISTRY_SLOTS: "),
        ("OPERATOR", "abc", "COVEY_REGISTRY_OPERATOR: "),
        ("EPSILON", "abc", "COVEY_REGISTRY_EPSILON: "),
        ("EPSILON", '{"train": 101}', "COVEY_REGISTRY_EPSILON.train: "),
        ("RIGHTS_PERIODS", "{}", "COVEY_REGISTRY_RIGHTS_PERIODS: the period 'default' is needed"),
        ("IDP_ISSUER", "x", "an identity provider takes idp_issuer"),
    ],
)
def test_a_wrong_setting_is_named_as_the_operator_gave_it(covey_here, setting, value, says):
    refused = covey_here("registry", "key", **{f"COVEY_REGISTRY_{setting}": value})
    assert says in require_plain(refused)
    assert len(refused.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("NOTICES", "nowhere"),
        pytest.param("CONTROLLER", "nowhere.toml", marks=pytest.mark.slow),
        pytest.param("DATABASE_URL", "sqlite:///nowhere/registry.db", marks=pytest.mark.slow),
        ("DATABASE_URL", "nonsense"),
    ],
)
def test_a_registry_that_cannot_start_says_why_in_one_line(covey, setting, value):
    refused = covey("registry", "serve", "--port", "0", **{f"COVEY_REGISTRY_{setting}": value})
    assert require_plain(refused).startswith("covey: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["bench", "registry", "--rows", "1", "--db", "nonsense"],
        ["bench", "registry", "--rows", "1", "--db", "sqlite:///nowhere/x.db"],
        ["registry", "drill", "erase", "--people", "0"],
        ["registry", "pack", "--out", "nowhere/pack.zip"],
        ["registry", "document", "toms", "--out", "nowhere/toms.md"],
        ["registry", "notice", "show", "marketing", "--out", "nowhere/x.toml"],
        ["registry", "receipt", "verify", "nowhere", "--key", "01" * 32],
        ["log", "judge", "nowhere", "--key", "01" * 32],
        ["log", "judge", ".", "--key", "01" * 32],
        ["demo", "--out", "x", "--seed", "-1"],
    ],
)
def test_other_errors_are_plain_as_well(covey_here, arguments):
    refused = covey_here(*arguments)
    assert "[Errno" not in require_plain(refused)


def test_an_error_that_nobody_foresaw_is_one_line(monkeypatch, capsys):
    def fail(_chosen):
        raise TypeError("unsupported operand for <class 'covey_sdk.events.OrderPaid'>")

    monkeypatch.setattr(command_line, "_version", fail)
    monkeypatch.delenv("COVEY_TRACEBACK", raising=False)
    assert command_line.main(["version"]) == 1
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert "COVEY_TRACEBACK=1" in said
    assert not INTERNAL.search(said)
    monkeypatch.setenv("COVEY_TRACEBACK", "1")
    with pytest.raises(TypeError):
        command_line.main(["version"])
