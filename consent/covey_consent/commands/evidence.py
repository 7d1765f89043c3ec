"""`covey registry evidence`: the table of law, which test shows each article, what a run of them found."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from covey_consent.errors import ConflictError
from covey_consent.law import compliance
from covey_consent.law.compliance import Mark, Run

NOT_RUN = "not run"


def show_evidence(*, run_tests: bool, as_json: bool) -> int:
    """Print the table; `run_tests` first, which takes a checkout. 1 where a test did not pass."""
    root = compliance.find_checkout()
    found = compliance.shipped_marks() if root is None else compliance.read_marks(root / "tests")
    if run_tests and root is None:
        raise ConflictError("this Covey is installed without its tests; run them in a checkout of its source")
    done = compliance.run_tests(root, found) if run_tests and root is not None else None
    table = tabulate(found, done)
    print(json.dumps(table, indent=2, ensure_ascii=False) if as_json else _text(table))
    results = [test["result"] for row in table["articles"] for test in row["tests"]]
    return 0 if done is None or all(result == "passed" for result in results) else 1


def tabulate(found: Sequence[Mark], done: Run | None) -> dict[str, Any]:
    """Return the table as plain JSON values: every article, the tests that show it, and their results.

    A test that a run did not reach is as good as failed: it is called missing.
    """
    law = compliance.load_law()

    def describe(mark: Mark) -> dict[str, str]:
        result = NOT_RUN if done is None else done.results.get(mark.test, "missing")
        return {"shows": mark.shows, "test": mark.test, "result": result}

    rows = [
        {
            "article": article,
            "law": law.laws[article.partition(" ")[0]],
            "has_to_be_shown": shows,
            "tests": [describe(mark) for mark in found if mark.article == article],
        }
        for article, shows in law.shows.items()
    ]
    return {"run": done and {"at": done.at, "covey": done.version}, "articles": rows}


def _text(table: Mapping[str, Any]) -> str:
    ran, rows = table["run"], table["articles"]
    when = (
        f"run at {ran['at']}, Covey {ran['covey']}" if ran else "tests not run; --run runs them in a checkout"
    )
    shown = sum(bool(row["tests"]) for row in rows)
    lines = [f"Evidence for {shown} of {len(rows)} articles: {when}. Not legal advice."]
    for row in rows:
        lines += ["", f"{row['article']}: {row['has_to_be_shown']}"]
        lines += [f"  {test['result']}: {test['shows']}\n    {test['test']}" for test in row["tests"]]
        if not row["tests"]:
            lines.append("  no test shows this yet")
    return "\n".join(lines)
