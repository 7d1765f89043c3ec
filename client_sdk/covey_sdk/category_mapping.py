"""Proposes how a shop's categories are mapped for its rule bundle, and reads and writes the mapping file.

The shop's tooling uses it (`covey catalogue`); a phone does not. A category is proposed as

- `health` or `family` where its name or path holds a sensitive word, or stands in a sensitive branch of a
  public product taxonomy;
- `ordinary` where every word of its name is a known ordinary word, or its path is in an ordinary branch;
- undecided otherwise, and where words of both kinds are found. What nobody decided is in no bundle, and so
  counts as sensitive on every phone.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

from covey_sdk import sensitive_words
from covey_sdk.errors import CatalogueError
from covey_sdk.rule_bundle import KINDS, MOST_CATEGORIES, ORDINARY_KIND, Category, plain
from covey_sdk.sensitive_words import Match, branch_words

FORMAT = "covey-categories-1"
"""What a mapping file says in `format`."""

MOST_BYTES = 2**25
MOST_NAME = 1000
MOST_ID = 128
MOST_LEVELS = 32
SEPARATOR = " > "


@dataclass(frozen=True, slots=True)
class Row:
    """A category as the shop's catalogue has it; `path` names those above it, outermost first."""

    id: str
    name: str
    path: str = ""

    @property
    def text(self) -> str:
        """The name after its path."""
        return SEPARATOR.join(filter(None, (self.path, self.name)))


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a category is proposed to be, None where a person has to decide, and by which words."""

    row: Row
    kind: str | None
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CategoryMapping:
    """A mapping file: the categories for the rule bundle, and what the shop calls them."""

    categories: tuple[Category, ...]
    names: Mapping[str, str]


def propose(row: Row) -> Proposal:
    """Return what a category is proposed to be."""
    matches: list[Match] = [*sensitive_words.find(row.text), *sensitive_words.find(row.id)]
    branch = sensitive_words.branch_of(row.text)
    if branch is not None:
        matches.append(branch)
    words = tuple(dict.fromkeys(match.text for match in matches))
    kinds = {match.kind for match in matches}
    if kinds:
        return Proposal(row, kinds.pop() if len(kinds) == 1 else None, words)
    return Proposal(row, ORDINARY_KIND if _is_ordinary(row) else None)


def _is_ordinary(row: Row) -> bool:
    branches, ordinary, fillers = _ordinary()
    place = branch_words(row.text)
    if any(place.startswith(branch) for branch in branches):
        return True
    text = sensitive_words.words(row.name)
    rest = ordinary.sub("", text)
    return rest != text and not fillers.sub("", f"{rest.rstrip()} ").strip()


@lru_cache(maxsize=1)
def _ordinary() -> tuple[tuple[str, ...], re.Pattern[str], re.Pattern[str]]:
    """Return the ordinary branches, the ordinary words, and words that say nothing by themselves."""
    data = json.loads(resources.files(__package__).joinpath("ordinary_words.json").read_text("utf-8"))
    branches, fillers = tuple(map(branch_words, data.pop("branches"))), data.pop("fillers")
    return branches, sensitive_words.pattern(data), sensitive_words.pattern(fillers)


def read_rows(data: bytes) -> list[Row]:
    """Return the categories of a CSV file.

    Its first row names its columns, `id` and `name`, and optionally `path` (parts separated by ` > `) or
    `parent` (an id of the file, or a name); others are ignored. Without such a row it is a plain list of
    names, one a line, which are their own ids.

    Raises CatalogueError with the number of the row that is wrong; the first row is 1.
    """
    if len(data) > MOST_BYTES:
        raise CatalogueError(f"the file has {len(data)} bytes; at most {MOST_BYTES} were expected")
    table = list(_table(_decoded(data)))
    if not table:
        raise CatalogueError("the file holds no row; categories were expected, one a row")
    header = [cell.strip().casefold() for cell in table[0][1]]
    if "name" not in header and "id" not in header:
        return _checked([(number, _named(number, cells)) for number, cells in table])
    for column in ("id", "name", "path", "parent"):
        if header.count(column) > 1:
            raise CatalogueError(f"row 1 names the column {column!r} twice; once was expected")
    rows = [(number, _fields(number, header, cells)) for number, cells in table[1:]]
    if not rows:
        raise CatalogueError("no row comes after the names of the columns; categories were expected")
    return _checked(_with_paths(rows))


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = data[: error.start].count(b"\n") + 1
        raise CatalogueError(f"row {row} is not UTF-8; save the file as UTF-8") from None


def _table(text: str) -> Iterable[tuple[int, list[str]]]:
    """Yield the number and the cells of each row that is not blank."""
    number = 0
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for number, cells in enumerate(reader, 1):
            if any(cell.strip() for cell in cells):
                yield number, cells
            if number > 2 * MOST_CATEGORIES:
                raise CatalogueError(f"row {number} is one too many; at most {MOST_CATEGORIES} were expected")
    except csv.Error as error:
        raise CatalogueError(f"row {number + 1} is not CSV: {error}") from None


def _named(number: int, cells: Sequence[str]) -> Row:
    if len(cells) != 1:
        raise CatalogueError(
            f"row {number} has {len(cells)} columns; either the first row names them (id, name, path), or "
            "each row is one name (in double quotes where it holds a comma)"
        )
    return Row(cells[0].strip(), cells[0].strip())


def _fields(number: int, header: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    if len(cells) != len(header):
        raise CatalogueError(
            f"row {number} has {len(cells)} columns; {len(header)} were expected, as in row 1"
        )
    found = dict(zip(header, (cell.strip() for cell in cells), strict=True))
    name = found.get("name") or found.get("id", "")
    return {**found, "name": name, "id": found.get("id", name)}


def _with_paths(rows: Sequence[tuple[int, Mapping[str, str]]]) -> list[tuple[int, Row]]:
    by_id = {fields["id"]: fields for _, fields in rows}
    return [
        (number, Row(fields["id"], fields["name"], fields.get("path") or _above(number, fields, by_id)))
        for number, fields in rows
    ]


def _above(number: int, fields: Mapping[str, str], by_id: Mapping[str, Mapping[str, str]]) -> str:
    """Return the names above a category, by following its parents."""
    names: list[str] = []
    parent = fields.get("parent", "")
    while parent:
        if len(names) == MOST_LEVELS:
            raise CatalogueError(
                f"row {number}: category {fields['id']!r} has more than {MOST_LEVELS} parents, or is its "
                "own; mend the column `parent`"
            )
        above = by_id.get(parent, {"name": parent})
        names.append(above["name"])
        parent = above.get("parent", "")
    return SEPARATOR.join(reversed(names))


def _checked(rows: Sequence[tuple[int, Row]]) -> list[Row]:
    if len(rows) > MOST_CATEGORIES:
        raise CatalogueError(f"the file has {len(rows)} categories; at most {MOST_CATEGORIES} were expected")
    seen: dict[str, int] = {}
    for number, row in rows:
        if not plain(row.id):
            raise CatalogueError(f"row {number} has no id; every category needs one")
        if len(row.id.encode()) > MOST_ID or len(row.text) > MOST_NAME or "\0" in row.text + row.id:
            raise CatalogueError(
                f"row {number} has an id above {MOST_ID} bytes, a name and path above {MOST_NAME} "
                "letters, or a NUL; shorten it"
            )
        if plain(row.id) in seen:
            raise CatalogueError(
                f"row {number} has the id {row.id!r} of row {seen[plain(row.id)]}; ids are to "
                "differ by more than case, spaces and underscores"
            )
        seen[plain(row.id)] = number
    return [row for _, row in rows]


def document(proposals: Iterable[Proposal]) -> dict[str, Any]:
    """Return the mapping file of the proposals; `undecided` is what a person moves to `categories`."""
    file: dict[str, Any] = {"format": FORMAT, "categories": [], "undecided": []}
    for proposal in proposals:
        entry: dict[str, Any] = {"id": proposal.row.id, "name": proposal.row.name}
        if proposal.row.path:
            entry["path"] = proposal.row.path
        if proposal.kind is not None:
            entry["kind"] = proposal.kind
        if proposal.words:
            entry["words"] = list(proposal.words)
        file["undecided" if proposal.kind is None else "categories"].append(entry)
    return file


def read_mapping(data: bytes) -> CategoryMapping:
    """Return a mapping file's categories, with their names for `sign_rules`; `undecided` ones are left out.

    Raises CatalogueError where it is no mapping file, with the number of the entry that is wrong.
    """
    if len(data) > MOST_BYTES:
        raise CatalogueError(f"the mapping has {len(data)} bytes; at most {MOST_BYTES} were expected")
    try:
        file = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CatalogueError(f"the mapping is not JSON: {error}") from None
    if (
        not isinstance(file, dict)
        or file.get("format") != FORMAT
        or not isinstance(file.get("categories"), list)
    ):
        raise CatalogueError(
            f"the file is no mapping: `format` {FORMAT!r} and a list `categories` were expected, as "
            "`covey catalogue classify --out` writes them"
        )
    entries = [_entry(number, entry) for number, entry in enumerate(file["categories"], 1)]
    if len(entries) > MOST_CATEGORIES:
        raise CatalogueError(
            f"the mapping has {len(entries)} categories; at most {MOST_CATEGORIES} were expected"
        )
    return CategoryMapping(
        tuple(category for category, _ in entries), {category.id: name for category, name in entries}
    )


def _entry(number: int, entry: Any) -> tuple[Category, str]:
    texts = (
        {name: entry.get(name, "") for name in ("id", "name", "path", "kind", "reason")}
        if isinstance(entry, dict)
        else {}
    )
    if not texts or not all(isinstance(text, str) for text in texts.values()) or not texts["id"]:
        raise CatalogueError(f"category {number} of the mapping lacks an id, or a field of it is no text")
    if texts["kind"] not in KINDS:
        raise CatalogueError(
            f"category {number} of the mapping, {texts['id']!r}, is of kind {texts['kind']!r}; "
            f"{', '.join(KINDS)} are known"
        )
    row = Row(texts["id"], texts["name"], texts["path"])
    return Category(row.id, texts["kind"], texts["reason"]), row.text
