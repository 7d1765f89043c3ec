"""The articles that software can show something about, the tests that show it, and what a run of them found.

    python -m covey_consent.law.compliance tests --write    # after a mark came, went or moved

Articles are in `law.toml`. Tests name theirs by marks, which are read and not imported; `tests.json` ships
them, as an installed Covey has no tests.
"""

from __future__ import annotations

import ast
import datetime
import functools
import json
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from covey_consent.errors import ConflictError

SHIPPED = Path(__file__).parent / "tests.json"
WORST_FIRST = ("failed", "skipped", "passed")


@dataclass(frozen=True, slots=True)
class Law:
    """`shows`: what has to be shown for each article. `awaiting`: the articles whose tests are to come."""

    laws: Mapping[str, str]
    shows: Mapping[str, str]
    awaiting: frozenset[str]


class Mark(NamedTuple):
    """A test that shows something for an article, as `@pytest.mark.compliance(article, shows)` says."""

    article: str
    shows: str
    test: str


class Run(NamedTuple):
    """When the tests ran (ISO 8601, UTC), of which Covey, and each test's result: a name of WORST_FIRST."""

    at: str
    version: str
    results: Mapping[str, str]


@functools.cache
def load_law() -> Law:
    """Return the table."""
    table = tomllib.loads(resources.files("covey_consent.law").joinpath("law.toml").read_text("utf-8"))
    return Law(table["law"], table["shows"], frozenset(table["awaiting"]))


@functools.cache
def shipped_marks() -> tuple[Mark, ...]:
    """Return the marks as this version of Covey was shipped with."""
    text = resources.files("covey_consent.law").joinpath(SHIPPED.name).read_text("utf-8")
    return tuple(Mark(*row) for row in json.loads(text))


def read_marks(tests: Path) -> tuple[Mark, ...]:
    """Return the marks of every test below a folder, by article. Raises ValueError where one says less."""
    found: list[Mark] = []
    for file in tests.rglob("test_*.py"):
        path = file.relative_to(tests.parent).as_posix()
        found += _marks(ast.parse(file.read_text("utf-8")).body, path)
    return tuple(sorted(found))


def ship_marks(marks: Iterable[Mark]) -> None:
    """Write `tests.json`."""
    rows = ",\n".join("  " + json.dumps(mark, ensure_ascii=False) for mark in marks)
    SHIPPED.write_text(f"[\n{rows}\n]\n" if rows else "[]\n", "utf-8")


def find_checkout() -> Path | None:
    """Return the checkout that this Covey runs from, None where it is installed without its tests."""
    root = Path(__file__).resolve().parents[3]
    return root if (root / "pyproject.toml").is_file() and (root / "tests").is_dir() else None


def run_tests(root: Path, marks: Iterable[Mark]) -> Run:
    """Run the marked tests of a checkout. Raises ConflictError where pytest does not get to run them."""
    files = sorted({mark.test.partition("::")[0] for mark in marks})
    if not files:
        raise ConflictError("no test names an article, so there is nothing to run")
    at = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "run.xml"
        command = (sys.executable, "-m", "pytest", "-q", "-m", "compliance", f"--junitxml={report}", *files)
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)  # noqa: S603  our own tests
        if done.returncode not in (0, 1) or not report.is_file():
            last = (done.stdout + done.stderr).strip().splitlines() or ["it said nothing"]
            raise ConflictError(f"pytest did not run the tests of the law: {last[-1]}")
        return Run(at, version("covey"), _results(report.read_text("utf-8")))


def _marks(body: Iterable[ast.stmt], path: str) -> Iterator[Mark]:
    """Yield the marks of a module's or class's functions; `path` is its name for pytest."""
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _marks(node.body, f"{path}::{node.name}")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in node.decorator_list:
                if ast.unparse(decorator).startswith("pytest.mark.compliance("):
                    yield _mark(decorator, f"{path}::{node.name}")


def _mark(decorator: ast.expr, test: str) -> Mark:
    match [arg.value for arg in getattr(decorator, "args", ()) if isinstance(arg, ast.Constant)]:
        case [str(article), str(shows)]:
            return Mark(article, shows, test)
    raise ValueError(f'{test}: a mark says article and what is shown: compliance("GDPR 7(3)", "...")')


def _results(junit: str) -> Mapping[str, str]:
    """Return each marked test's result of a JUnit XML; a test with parameters is as bad as its worst."""
    results: dict[str, str] = {}
    for case in ElementTree.fromstring(junit).iter("testcase"):  # noqa: S314  pytest's own, just written
        test = next((each.get("value") for each in case.iter("property") if each.get("name") == "test"), None)
        if test is not None:
            tags = {each.tag for each in case}
            failed, skipped = tags & {"failure", "error"}, "skipped" in tags
            outcome = "failed" if failed else "skipped" if skipped else "passed"
            results[test] = min(results.get(test, outcome), outcome, key=WORST_FIRST.index)
    return results


if __name__ == "__main__":
    read = read_marks(Path(sys.argv[1]).resolve())
    if sys.argv[2:] == ["--write"]:
        ship_marks(read)
    else:
        sys.stdout.writelines(f"{mark.article}  {mark.test}\n" for mark in read)
