"""A person's footprint: every row that holds something of them, found by the column `subject`.

The tables are asked what they are, not listed: one that is added tomorrow is exported and erased as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import CursorResult, Table, delete, select, update
from sqlalchemy.orm import Session

from covey_consent.models import Base, Subject

COLUMN = "subject"

ERASURE = "erasure"
BLANK = "blank"
"""`info={ERASURE: BLANK}` on a table keeps its rows at erasure, without the name: for what others did."""

_ROOT = Subject.__table__.c[COLUMN]


def tables() -> Sequence[Table]:
    """Return every table that holds something of a person, each after those that it refers to."""
    return [table for table in Base.metadata.sorted_tables if COLUMN in table.columns]


def rows(session: Session, table: Table, subject: str) -> Sequence[dict[str, Any]]:
    """Return the person's rows of one table, in the order of its key."""
    query = select(table).where(table.c[COLUMN] == subject).order_by(*table.primary_key)
    return [dict(row) for row in session.execute(query).mappings()]


def erase(session: Session, subject: str) -> dict[str, int]:
    """Delete the person's rows in every table; return how many of each. Part of the caller's write."""
    _unlink(session, subject)
    return {table.name: _erase(session, table, subject) for table in reversed(tables())}


def _erase(session: Session, table: Table, subject: str) -> int:
    theirs = table.c[COLUMN] == subject
    blank = table.info.get(ERASURE) == BLANK
    change = update(table).where(theirs).values({COLUMN: None}) if blank else delete(table).where(theirs)
    return cast(CursorResult[Any], session.execute(change)).rowcount


def _unlink(session: Session, subject: str) -> None:
    """Take the person's name out of other people's rows: a child's, whose guardian they were."""
    for table in Base.metadata.sorted_tables:
        for column in table.columns:
            if column.name != COLUMN and any(key.column is _ROOT for key in column.foreign_keys):
                session.execute(update(table).where(column == subject).values({column.name: None}))
