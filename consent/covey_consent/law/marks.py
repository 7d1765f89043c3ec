"""Which tests show which article: read from the tests' own marks, and shipped beside the table.

    python -m covey_consent.law.marks tests --write    # after a mark came, went or moved

Tests are read and not imported. An installed Covey has no tests: there the shipped names are all there is.
"""

from __future__ import annotations

import ast
import functools
import json
import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import NamedTuple

SHIPPED = Path(__file__).parent / "tests.json"


class Mark(NamedTuple):
    """A test that shows something for an article, as `@pytest.mark.compliance(article, shows)` says."""

    article: str
    shows: str
    test: str


def read(tests: Path) -> tuple[Mark, ...]:
    """Return the marks of every test below a folder, by article. Raises ValueError where one says less."""
    files = sorted(tests.rglob("test_*.py"))
    return tuple(sorted(mark for file in files for mark in _in_file(file, tests.parent)))


@functools.cache
def shipped() -> tuple[Mark, ...]:
    """Return the marks as this version of Covey was shipped with."""
    text = resources.files("covey_consent.law").joinpath(SHIPPED.name).read_text("utf-8")
    return tuple(Mark(*row) for row in json.loads(text))


def write(marks: tuple[Mark, ...], path: Path = SHIPPED) -> None:
    """Ship these marks."""
    rows = ",\n".join("  " + json.dumps(mark, ensure_ascii=False) for mark in marks)
    path.write_text(f"[\n{rows}\n]\n" if rows else "[]\n", "utf-8")


def _in_file(file: Path, root: Path) -> Iterator[Mark]:
    for node in ast.parse(file.read_text("utf-8")).body:
        for path, function in _functions(node):
            for decorator in function.decorator_list:
                if ast.unparse(decorator).startswith("pytest.mark.compliance("):
                    test = "::".join((file.relative_to(root).as_posix(), *path))
                    yield Mark(*_said(decorator, test), test)


def _functions(node: ast.stmt) -> Iterator[tuple[tuple[str, ...], ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Return the functions of a module's statement, a class's methods among them, each with its path."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield (node.name,), node
    elif isinstance(node, ast.ClassDef):
        for inner in node.body:
            yield from (((node.name, *path), function) for path, function in _functions(inner))


def _said(decorator: ast.expr, test: str) -> tuple[str, str]:
    said = [arg.value for arg in getattr(decorator, "args", ()) if isinstance(arg, ast.Constant)]
    match said:
        case [str(article), str(shows)]:
            return article, shows
    raise ValueError(f'{test}: a mark says article and what is shown: compliance("GDPR 7(3)", "...")')


if __name__ == "__main__":
    found = read(Path(sys.argv[1]).resolve())
    if sys.argv[2:] == ["--write"]:
        write(found)
    else:
        sys.stdout.writelines(f"{mark.article}  {mark.test}\n" for mark in found)
