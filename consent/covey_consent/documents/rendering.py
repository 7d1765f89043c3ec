"""Documents as JSON, Markdown, one self-contained HTML page, and, for a record of many rows, CSV."""

from __future__ import annotations

import csv
import functools
import io
from collections.abc import Mapping
from enum import StrEnum

import orjson
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from covey_consent.documents.document import Bilingual, Blank, Document, Value
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


def render(document: Document, written_as: Format) -> str:
    """Return the document as text. Raises RequestError where it cannot be written so."""
    match written_as:
        case Format.JSON:
            return orjson.dumps(document.plain(), option=orjson.OPT_INDENT_2).decode() + "\n"
        case Format.CSV:
            return _csv(document)
        case Format.MD | Format.HTML:
            return _environment().get_template(f"document.{written_as}.j2").render(document=document)


def _csv(document: Document) -> str:
    """Return one line for each record; lists within a cell are separated by "; "."""
    records = document.records
    if not records:
        raise RequestError(f"document {document.name} is no table; ask for json, md or html")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(fact.key for fact in records[0])
    for record in records:
        cells = [_shown(fact.value) for fact in record]
        writer.writerow(f"'{cell}" if cell.startswith(FORMULA) else cell for cell in cells)
    return text.getvalue()


def _shown(value: Value) -> str:
    """Return a value in plain words."""
    if isinstance(value, Blank):
        return f"[the officer fills in: {value.asks}]"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Bilingual):
        return " · ".join(filter(None, value))
    if isinstance(value, tuple):
        return "; ".join(value)
    return f"{value:g}" if isinstance(value, float) and abs(value) < 1e5 else str(value)


def _escaped(text: str) -> str:
    """Return the text as one line in which nothing is Markdown."""
    for mark in "\\|<>`*_[]":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("covey_consent.documents"),
        autoescape=select_autoescape(["html.j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"shown": _shown, "escaped": _escaped}
    environment.tests["blank"] = lambda value: isinstance(value, Blank)
    environment.tests["words"] = lambda value: isinstance(value, Bilingual)
    environment.tests["many"] = lambda value: type(value) is tuple and len(value) > 1
    return environment
