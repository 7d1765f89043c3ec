"""Rules have names, and every refusal tells the one that was broken."""

import ast
import re
from pathlib import Path

import pytest

from covey_privacy.errors import AbortError, BudgetError, ForkError, MisuseError, PeerError, ServerError
from covey_privacy.protocol_rules import Rule

ROOT = Path(__file__).parents[2]
PACKAGES = ("privacy", "client_sdk", "server", "consent", "simulations")
SOURCES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
NAMES_ITS_RULE = {"PrivacyError", "PeerError", "ServerError", "AbortError"}


def raised(path):
    """The calls behind `raise` in a file, by the name of what is raised."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            yield getattr(node.exc.func, "id", ""), node.exc


def test_every_rule_is_broken_somewhere():
    source = "\n".join(path.read_text("utf-8") for path in SOURCES)
    assert [rule.name for rule in Rule if not re.search(rf"\bRule\.{rule.name}\b", source)] == []


def test_no_refusal_is_without_its_rule():
    calls = [(path, name, call) for path in SOURCES for name, call in raised(path) if name in NAMES_ITS_RULE]
    assert len(calls) > 200
    assert [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for path, _, call in calls
        if "rule" not in {keyword.arg for keyword in call.keywords}
    ] == []


def test_an_error_reads_as_its_message_and_keeps_its_rule():
    error = ServerError("the set has 3 members", rule=Rule.LEAST_SET)
    assert str(error) == "the set has 3 members"
    assert error.rule == "least-set"
    with pytest.raises(AttributeError):
        error.rule = Rule.BOX


@pytest.mark.parametrize(
    ("error", "rule"),
    [
        (MisuseError("no"), Rule.ARGUMENT),
        (MisuseError("no", rule=Rule.BOX), Rule.BOX),
        (BudgetError("no"), Rule.BUDGET),
        (ForkError("no", b"evidence"), Rule.LOG_CONSISTENCY),
    ],
)
def test_errors_of_one_meaning_know_their_rule(error, rule):
    assert error.rule is rule


@pytest.mark.parametrize("cls", [PeerError, ServerError, AbortError])
def test_blame_without_a_rule_is_no_error_at_all(cls):
    with pytest.raises(TypeError, match="rule"):
        cls("no")
