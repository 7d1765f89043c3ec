"""A document as a value: headings in English and Chinese, facts, tables, and blanks for the officer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from covey_consent.documents.facts import Facts


class Words(NamedTuple):
    """The same in English and in Chinese."""

    en: str
    zh: str


class Blank(NamedTuple):
    """What software cannot know: the officer fills it in, and it shows until then."""

    asks: str


Value: TypeAlias = str | int | float | bool | tuple[str, ...] | Words | Blank


class Fact(NamedTuple):
    """One line: `key` names it for programs, `note` says where it is from or what it means."""

    key: str
    label: Words
    value: Value
    note: str = ""


class Column(NamedTuple):
    """A table's column; `key` names it for programs."""

    key: str
    label: Words


class Table(NamedTuple):
    """Rows of as many values as there are columns."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a document. Its text is in `language`.

    As CSV, the document has a line for each `record`, and what is `common` stands in every line.
    """

    heading: Words
    text: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    table: Table | None = None
    language: str = "en"
    record: bool = False
    common: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """A document, of what it is evidence for, and the facts that it was made from."""

    name: str
    title: Words
    evidence_for: str
    facts: Facts
    sections: tuple[Section, ...]

    @property
    def records(self) -> tuple[tuple[Fact, ...], ...]:
        """The lines of the document as one table."""
        common = tuple(fact for section in self.sections if section.common for fact in section.facts)
        return tuple((*common, *section.facts) for section in self.sections if section.record)

    @property
    def blanks(self) -> int:
        """How many blanks the officer has to fill in."""
        return sum(isinstance(value, Blank) for section in self.sections for value in _values(section))

    def plain(self) -> dict[str, object]:
        """Return the document as plain JSON values."""
        return {
            "document": self.name,
            "title": self.title.en,
            "title_zh": self.title.zh,
            "evidence_for": self.evidence_for,
            "controller": self.facts.controller.name,
            "made_at": self.facts.made_at,
            "covey": self.facts.version,
            "log": {"origin": self.facts.origin, "size": self.facts.log_size, "root": self.facts.log_root},
            "blanks": self.blanks,
            "sections": [_plain_section(section) for section in self.sections],
        }


def _values(section: Section) -> Iterable[Value]:
    yield from (fact.value for fact in section.facts)
    for row in section.table.rows if section.table else ():
        yield from row


def _plain_section(section: Section) -> dict[str, object]:
    found: dict[str, object] = {"heading": section.heading.en, "heading_zh": section.heading.zh}
    if section.text:
        found |= {"language": section.language, "text": list(section.text)}
    if section.facts:
        found["facts"] = {fact.key: _plain(fact.value) for fact in section.facts}
        found["notes"] = {fact.key: fact.note for fact in section.facts if fact.note}
    if section.table:
        found["rows"] = [_plain_row(section.table, row) for row in section.table.rows]
    return found


def _plain_row(table: Table, row: tuple[Value, ...]) -> Mapping[str, object]:
    pairs = zip(table.columns, row, strict=True)
    return {column.key: _plain(value) for column, value in pairs}


def _plain(value: Value) -> object:
    if isinstance(value, Blank):
        return {"blank": value.asks}
    if isinstance(value, Words):
        return value._asdict()
    return list(value) if isinstance(value, tuple) else value
