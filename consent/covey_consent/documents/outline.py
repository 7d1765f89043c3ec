"""Outlines: what the documents' headings, lines and columns are called, from `outlines.toml`.

    OUTLINE = Outline("dossier")
    OUTLINE.document(facts, [OUTLINE.section("release", {"evidence": evidence, "training": "none"})])

A line's value is what the outline says: its place `from` the caller's values ("evidence.query"; bytes are
shown in hex), a fixed `value`, or what to `ask` the officer; else it is the caller's value of its name.
"""

from __future__ import annotations

import functools
import operator
import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Any

from covey_consent.documents.document import Bilingual, Blank, Document, Fact, Row, Section, Table, Value
from covey_consent.documents.facts import Facts

Values = Mapping[str, Any]


@functools.cache
def read_table(name: str) -> Mapping[str, Any]:
    """Return a TOML file of this package."""
    return tomllib.loads(resources.files("covey_consent.documents").joinpath(name).read_text("utf-8"))


class Outline:
    """The outline of one document. `{name}` in its texts stands for the caller's value of that name."""

    def __init__(self, document: str) -> None:
        self._document, self._table = document, read_table("outlines.toml")[document]

    def document(self, facts: Facts, sections: Iterable[Section], **values: str) -> Document:
        """Return the document of these sections; `values` fill its title."""
        title = _bilingual(self._table["title"], values)
        return Document(self._document, title, self._table["evidence_for"], facts, tuple(sections))

    def section(self, name: str, values: Values, rows: Iterable[Row] | None = None) -> Section:
        """Return a section with a line for each of its facts and, where there are rows, its table."""
        outline = self._table[name]
        return Section(
            heading=_bilingual(outline["heading"], values),
            text=tuple(outline.get("text", ())),
            facts=self.facts(name, values),
            table=None if rows is None else self.table(name, rows),
            csv=outline.get("csv", ""),
        )

    def facts(self, name: str, values: Values) -> tuple[Fact, ...]:
        """Return the lines of a section. Raises KeyError where one has no value."""
        return tuple(
            Fact(
                key,
                Bilingual(line["en"], line["zh"]),
                _value(key, line, values),
                line.get("note", "").format_map(values),
            )
            for key, line in self._table[name].get("facts", {}).items()
        )

    def table(self, name: str, rows: Iterable[Row]) -> Table:
        """Return the table of a section."""
        columns = self._table[name]["columns"]
        return Table({key: Bilingual(*label) for key, label in columns.items()}, tuple(rows))


def _bilingual(words: Iterable[str], values: Values) -> Bilingual:
    return Bilingual(*(each.format_map(values) for each in words))


def _value(key: str, line: Mapping[str, Any], values: Values) -> Value:
    match line:
        case {"ask": asks}:
            return Blank(asks)
        case {"from": place}:
            name, _, path = place.partition(".")
            found: Value | bytes = operator.attrgetter(path)(values[name])
            return found.hex() if isinstance(found, bytes) else found
        case {"value": str(text)}:
            return text.format_map(values)
        case {"value": dict(words)}:
            return Bilingual(**words)
        case {"value": lines}:
            return tuple(lines)
    given: Value = values[key]
    return given
