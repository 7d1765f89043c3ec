"""A document as a value: headings in English and Chinese, facts, tables, and blanks for the officer."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from covey_consent.documents.facts import Facts


class Bilingual(NamedTuple):
    """The same words in English and in Chinese."""

    en: str
    zh: str


class Blank(NamedTuple):
    """What software cannot know: the officer fills it in, and it shows until then."""

    asks: str


Value: TypeAlias = str | int | float | bool | tuple[str, ...] | Bilingual | Blank
Row: TypeAlias = tuple[Value, ...]


class Fact(NamedTuple):
    """One line: `key` names it for programs, `note` says where it is from or what it means."""

    key: str
    label: Bilingual
    value: Value
    note: str = ""


class Table(NamedTuple):
    """Columns by their keys, and rows of as many values."""

    columns: Mapping[str, Bilingual]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a document. Its text is in `language`.

    As CSV, a document has a line for each section that is a "record". Facts of a "common" one stand in each.
    """

    heading: Bilingual
    text: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    table: Table | None = None
    language: str = "en"
    csv: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """A document, of what it is evidence for, and the facts that it was made from."""

    name: str
    title: Bilingual
    evidence_for: str
    facts: Facts
    sections: tuple[Section, ...]

    @property
    def records(self) -> tuple[tuple[Fact, ...], ...]:
        """The lines of the document as one table."""
        common = tuple(fact for section in self.sections if section.csv == "common" for fact in section.facts)
        return tuple((*common, *section.facts) for section in self.sections if section.csv == "record")

    @property
    def blanks(self) -> int:
        """How many blanks the officer has to fill in."""
        facts = (fact.value for section in self.sections for fact in section.facts)
        rows = (row for section in self.sections if section.table for row in section.table.rows)
        values = itertools.chain(facts, itertools.chain.from_iterable(rows))
        return sum(isinstance(value, Blank) for value in values)

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


def _plain_section(section: Section) -> dict[str, object]:
    plain: dict[str, object] = {"heading": section.heading.en, "heading_zh": section.heading.zh}
    if section.text:
        plain |= {"language": section.language, "text": section.text}
    if section.facts:
        plain["facts"] = {fact.key: _plain(fact.value) for fact in section.facts}
        plain["notes"] = {fact.key: fact.note for fact in section.facts if fact.note}
    if section.table:
        keys = section.table.columns
        plain["rows"] = [dict(zip(keys, map(_plain, row), strict=True)) for row in section.table.rows]
    return plain


def _plain(value: Value) -> object:
    if isinstance(value, Blank):
        return {"blank": value.asks}
    if isinstance(value, Bilingual):
        return value._asdict()
    return list(value) if isinstance(value, tuple) else value
