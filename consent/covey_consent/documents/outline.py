"""Outlines: what the documents' headings, lines and columns are called, from `outlines.toml`.

    OUTLINE = Outline("toms")
    OUTLINE.document(facts, [OUTLINE.section("theme", {}, rows)])

A line's value is the caller's, or the one in the outline, or a blank that asks what the outline says.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from string import Template
from typing import Any

from covey_consent.documents.document import Bilingual, Blank, Document, Fact, Row, Section, Table, Value
from covey_consent.documents.facts import Facts

Values = Mapping[str, Value]


@functools.cache
def read_table(name: str) -> Mapping[str, Any]:
    """Return a TOML file of this package."""
    return tomllib.loads(resources.files("covey_consent.documents").joinpath(name).read_text("utf-8"))


class Outline:
    """The outline of one document. `$name` in it stands for the value of that name."""

    def __init__(self, document: str) -> None:
        self._document, self._table = document, read_table("outlines.toml")[document]

    def document(self, facts: Facts, sections: Iterable[Section], values: Values | None = None) -> Document:
        """Return the document of these sections; `values` fill its title."""
        title = _bilingual(self._table["title"], values or {})
        return Document(self._document, title, self._table["evidence_for"], facts, tuple(sections))

    def section(self, name: str, values: Values, rows: Iterable[Row] | None = None) -> Section:
        """Return a section with a line for each of its facts and, where there are rows, its table."""
        said = self._table[name]
        table = None if rows is None else self.table(name, rows)
        heading = _bilingual(said["heading"], values)
        return Section(
            heading, tuple(said.get("text", ())), self.facts(name, values), table, csv=said.get("csv", "")
        )

    def facts(self, name: str, values: Values) -> tuple[Fact, ...]:
        """Return the lines of a section. Raises KeyError where one has no value."""
        return tuple(
            Fact(
                key,
                Bilingual(line["en"], line["zh"]),
                _default(line, values) if key not in values else values[key],
                Template(line.get("note", "")).substitute(values),
            )
            for key, line in self._table[name].get("facts", {}).items()
        )

    def table(self, name: str, rows: Iterable[Row]) -> Table:
        """Return the table of a section."""
        columns = self._table[name]["columns"]
        return Table({key: Bilingual(*label) for key, label in columns.items()}, tuple(rows))


def _bilingual(words: Iterable[str], values: Values) -> Bilingual:
    return Bilingual(*(Template(each).substitute(values) for each in words))


def _default(line: Mapping[str, Any], values: Values) -> Value:
    if "ask" in line:
        return Blank(line["ask"])
    value = line["value"]
    if isinstance(value, str):
        return Template(value).substitute(values)
    return Bilingual(**value) if isinstance(value, dict) else tuple(value)
