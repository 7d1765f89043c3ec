"""Documents as JSON, Markdown, one self-contained HTML page, and, for a record of many rows, CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum

import orjson
from jinja2 import Environment, PackageLoader, StrictUndefined

from covey_consent.documents.document import Blank, Document, Section, Value, Words
from covey_consent.errors import RequestError


class Format(StrEnum):
    """How a document is written."""

    JSON = "json"
    MD = "md"
    HTML = "html"
    CSV = "csv"


MEDIA: Mapping[Format, str] = {
    Format.JSON: "application/json",
    Format.MD: "text/markdown; charset=utf-8",
    Format.HTML: "text/html; charset=utf-8",
    Format.CSV: "text/csv; charset=utf-8",
}

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for a formula at the start of a cell."""


def render(document: Document, as_: Format) -> str:
    """Return the document as text. Raises RequestError where it cannot be written so."""
    return _WRITERS[as_](document)


def _json(document: Document) -> str:
    return orjson.dumps(document.plain(), option=orjson.OPT_INDENT_2).decode() + "\n"


def _html(document: Document) -> str:
    return _environment().get_template("document.html.j2").render(document=document)


def _markdown(document: Document) -> str:
    facts = document.facts
    head = (
        f"# {_both(document.title)}",
        f"Evidence for {document.evidence_for}. Not legal advice.",
        f"{facts.controller.name}. Made at {facts.made_at} by Covey {facts.version} from the log "
        f"{facts.origin}, {facts.log_size} entries. {_blanks(document)}",
    )
    parts = (part for section in document.sections for part in _section(section))
    return "\n\n".join((*head, *parts)) + "\n"


def _section(section: Section) -> Iterable[str]:
    yield f"## {_both(section.heading)}"
    yield from map(_escaped, section.text)
    if section.facts:
        rows = [(_both(fact.label), _shown(fact.value), fact.note) for fact in section.facts]
        yield _table(("", "", ""), rows)
    if section.table:
        heads = [_both(column.label) for column in section.table.columns]
        yield _table(heads, [[_shown(value) for value in row] for row in section.table.rows])


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heads = list(heads)
    cells = [heads, ["---"] * len(heads), *([_escaped(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def _csv(document: Document) -> str:
    """Return one line for each record; lists within a cell are separated by "; "."""
    records = document.records
    if not records:
        raise RequestError(f"document {document.name} is no table; ask for json, md or html")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(fact.key for fact in records[0])
    for record in records:
        writer.writerow(_inert(_shown(fact.value)) for fact in record)
    return text.getvalue()


def _inert(cell: str) -> str:
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def _shown(value: Value) -> str:
    """Return a value in plain words."""
    if isinstance(value, Blank):
        return f"[the officer fills in: {value.asks}]"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Words):
        return _both(value)
    if isinstance(value, tuple):
        return "; ".join(value)
    return f"{value:g}" if isinstance(value, float) and abs(value) < 1e5 else str(value)


def _both(words: Words) -> str:
    return " · ".join(filter(None, words))


def _blanks(document: Document) -> str:
    count = document.blanks
    return f"{count} blanks are for the officer." if count else ""


def _escaped(text: str) -> str:
    for mark in "\\|<>`*_[]":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("covey_consent.documents"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shown"] = _shown
    environment.tests["blank"] = lambda value: isinstance(value, Blank)
    environment.tests["words"] = lambda value: isinstance(value, Words)
    environment.tests["many"] = lambda value: type(value) is tuple and len(value) > 1
    return environment


_WRITERS: Mapping[Format, Callable[[Document], str]] = {
    Format.JSON: _json,
    Format.MD: _markdown,
    Format.HTML: _html,
    Format.CSV: _csv,
}
