"""What makes a simulation believable: no seed reaches what privacy rests on, no shortcut changes a byte."""

import ast
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
SOURCES = sorted(
    path
    for component in ("models", "client_sdk", "consent", "server", "simulations")
    for path in (REPOSITORY / component).rglob("*.py")
)
PHONE = [path for path in SOURCES if "client_sdk" in path.parts]
GROUND = sorted((REPOSITORY / "privacy").rglob("*.py"))


def test_no_caller_passes_randomness_to_the_privacy_package():
    """Its functions take `random` for tests alone; every other caller leaves the operating system's.

    The makers of test vectors derive all bytes from given secrets, which is what they are for.
    """
    assert [
        f"{path.relative_to(REPOSITORY)}:{call.lineno}"
        for path in SOURCES
        if not {"vectors", "in_process_round.py"} & {*path.parts}
        for call in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(call, ast.Call)
        and {word.arg for word in call.keywords} & {"random", "rand", "seed_bytes"}
    ] == []


def test_privacy_package_and_phone_use_no_general_purpose_generator_and_no_pickle():
    found = {path.relative_to(REPOSITORY).as_posix(): imports(path) for path in GROUND + PHONE}
    assert len(found) > 100
    assert {
        path: names for path, names in found.items() if names & {"random", "numpy.random", "pickle"}
    } == {}
    assert [path for path in found if "np.random" in (REPOSITORY / path).read_text("utf-8")] == []


def imports(path):
    tree = ast.parse(path.read_text("utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return names | {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
