"""What makes a simulation believable: no seed reaches what privacy rests on, no shortcut changes a byte."""

import ast
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
SOURCES = sorted(
    path
    for component in ("models", "client_sdk", "consent", "server", "simulations")
    for path in (REPOSITORY / component).rglob("*.py")
)
GROUND = sorted((REPOSITORY / "privacy").rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_nobody_passes_randomness_to_the_ground(path):
    """Its functions take `random` for tests alone; everywhere else the operating system's stays."""
    tree = ast.parse(path.read_text("utf-8"))
    passed = [
        call for call in ast.walk(tree) if isinstance(call, ast.Call)
        for word in call.keywords if word.arg in ("random", "rand", "seed_bytes")
    ]  # fmt: skip
    assert not passed


@pytest.mark.parametrize(
    "path", [*GROUND, *(p for p in SOURCES if "client_sdk" in p.parts)], ids=lambda p: p.stem
)
def test_the_ground_and_the_phone_use_no_general_purpose_generator(path):
    tree = ast.parse(path.read_text("utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not names & {"random", "numpy.random"}
    assert "np.random" not in path.read_text("utf-8")
    assert "pickle" not in names
