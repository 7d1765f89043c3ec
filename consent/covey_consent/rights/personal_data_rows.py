"""The rows of personal data: every row that holds something of a person, found by the column `subject`.

The tables are found by their columns and not listed: one that is added later is exported and erased as well,
and searched for the person's name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple, cast

from sqlalchemy import (
    Column,
    ColumnElement,
    CursorResult,
    LargeBinary,
    String,
    Table,
    and_,
    delete,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from covey_consent.storage.models import Base, Subject

COLUMN = "subject"

BLANK = "blank"
"""`info={BLANK: columns}` on a table of others' acts keeps its rows at erasure and empties these columns."""

STAND_IN = "stand_in"
"""`info={STAND_IN: True}` beside it: in those rows the erasure's id takes the place of the pseudonym."""

GONE = "[erased]"
"""The replacement of the person's name in the words of other rows."""

WORDLESS = {
    "checkpoints", "choices", "clock_state", "cosignatures", "detached_devices", "devices", "events",
    "included_sets", "issuances", "issuer_keys", "log", "notices", "notifications", "promised",
    "published_sets", "round_entries", "round_volunteers", "rounds", "served", "spent", "subject_keys",
    "subject_references", "subjects", "tombstones", "write_probe",
}  # fmt: skip
"""Tables that take no words from anyone, so that no name can be among them. Every other one is searched."""

_ROOT = Subject.__table__.c[COLUMN]


class ErasedRows(NamedTuple):
    """How many rows of each table were deleted, and in how many others the person's name was blanked."""

    deleted: Mapping[str, int]
    blanked: Mapping[str, int]


def tables() -> Sequence[Table]:
    """Return every table that holds something of a person, each after those that it refers to."""
    return [table for table in Base.metadata.sorted_tables if COLUMN in table.columns]


def rows(session: Session, table: Table, subject: str) -> Sequence[dict[str, Any]]:
    """Return the person's rows of one table, in the order of its key."""
    query = select(table).where(table.c[COLUMN] == subject).order_by(*table.primary_key)
    return [dict(row) for row in session.execute(query).mappings()]


def erase(session: Session, people: Collection[str], stand_in: str | None = None) -> ErasedRows:
    """Delete these people's rows in every table, and their names in others'. Part of the caller's write.

    In the rows that stay, `stand_in` takes the place of their pseudonym, so that they can be found together.
    """
    blanked: Counter[str] = Counter()
    # Rows that refer to the people, such as a child's to its guardian, forget them.
    for table in Base.metadata.sorted_tables:
        for column in table.columns:
            if column.name != COLUMN and any(key.column is _ROOT for key in column.foreign_keys):
                unlink = update(table).where(column.in_(people)).values({column.name: None})
                blanked[table.name] += _changed(session, unlink)
    deleted: dict[str, int] = {}
    for table in reversed(tables()):
        theirs = table.c[COLUMN].in_(people)
        emptied: dict[str, str | None] = dict.fromkeys(table.info.get(BLANK, ()))
        if table.info.get(STAND_IN):
            emptied[COLUMN] = stand_in
        change = update(table).where(theirs).values(emptied) if emptied else delete(table).where(theirs)
        counts = blanked if BLANK in table.info else deleted
        counts[table.name] = _changed(session, change)
    for table in Base.metadata.sorted_tables:
        blanked[table.name] += _unname(session, table, people)
    return ErasedRows(deleted, {table: count for table, count in blanked.items() if count})


def _unname(session: Session, table: Table, people: Collection[str]) -> int:
    """Take the people's names out of the words that a table's rows hold; return how many rows those were."""
    wordy = [column for column in table.columns if isinstance(column.type, String | LargeBinary)]
    if table.name in WORDLESS or not wordy:
        return 0
    names = or_(*(_contains(session, column, name) for column in wordy for name in people))
    found = session.execute(select(table).where(names)).mappings().all()
    for row in found:
        key = and_(*(column == row[column.name] for column in table.primary_key))
        cut = {column.name: _without(row[column.name], people) for column in wordy}
        session.execute(update(table).where(key).values(cut))
    return len(found)


def _contains(session: Session, column: Column[Any], name: str) -> ColumnElement[bool]:
    if isinstance(column.type, String):
        return column.contains(name)
    sought = literal(name.encode(), LargeBinary)
    if session.get_bind().dialect.name == "sqlite":
        return func.instr(column, sought) > 0
    return func.position(sought.op("IN")(column)) > 0


def _without(value: Any, people: Collection[str]) -> Any:
    for name in people:
        if isinstance(value, bytes):
            value = value.replace(name.encode(), GONE.encode())
        elif isinstance(value, str):
            value = value.replace(name, GONE)
    return value


def _changed(session: Session, change: Any) -> int:
    return cast(CursorResult[Any], session.execute(change)).rowcount
