"""What a run of the marked tests found: pytest in a checkout, read from the JUnit XML that it writes."""

from __future__ import annotations

import datetime
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree

from covey_consent.errors import ConflictError
from covey_consent.law.marks import Mark

WORST_FIRST = ("failed", "skipped", "passed")


@dataclass(frozen=True, slots=True)
class Run:
    """When the tests ran (ISO 8601, UTC), of which Covey, and each test's result: a name of WORST_FIRST."""

    at: str
    version: str
    results: Mapping[str, str]


def checkout() -> Path | None:
    """Return the checkout that this Covey runs from, None where it is installed without its tests."""
    root = Path(__file__).resolve().parents[3]
    return root if (root / "pyproject.toml").is_file() and (root / "tests").is_dir() else None


def run(root: Path, marks: Iterable[Mark]) -> Run:
    """Run the marked tests of a checkout. Raises ConflictError where pytest does not get to run them."""
    files = sorted({mark.test.partition("::")[0] for mark in marks})
    if not files:
        raise ConflictError("no test names an article, so there is nothing to run")
    at = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "run.xml"
        asked = (sys.executable, "-m", "pytest", "-q", "-m", "compliance", f"--junitxml={report}", *files)
        done = subprocess.run(asked, cwd=root, capture_output=True, text=True, check=False)  # noqa: S603  our own tests
        if done.returncode not in (0, 1) or not report.is_file():
            last = (done.stdout + done.stderr).strip().splitlines() or ["it said nothing"]
            raise ConflictError(f"pytest did not run the tests of the law: {last[-1]}")
        return Run(at, version("covey"), results(report.read_text("utf-8")))


def results(junit: str) -> Mapping[str, str]:
    """Return each marked test's result of a JUnit XML; a test with parameters is as bad as its worst."""
    found: dict[str, str] = {}
    for case in ElementTree.fromstring(junit).iter("testcase"):  # noqa: S314  pytest's own, just written
        test = next((each.get("value") for each in case.iter("property") if each.get("name") == "test"), None)
        if test is not None:
            outcome = _outcome({each.tag for each in case})
            found[test] = min(found.get(test, outcome), outcome, key=WORST_FIRST.index)
    return found


def _outcome(tags: set[str]) -> str:
    if tags & {"failure", "error"}:
        return "failed"
    return "skipped" if "skipped" in tags else "passed"
