"""Pages of a listing: by keyset, so that a page costs the same wherever it lies and none is shown twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel

from covey_consent.storage.cursors import LONGEST

T = TypeVar("T")
R = TypeVar("R")

Limit = Annotated[int, Query(ge=1, le=500, description="Rows on the page")]
Cursor = Annotated[str | None, Query(max_length=LONGEST, description="`next` of the page before")]


class Page(BaseModel, Generic[T]):
    """Some rows of a listing; `next` is the cursor of the page that follows, null on the last."""

    items: list[T]
    next: str | None = None


def following(rows: Sequence[R], limit: int, cursor: Callable[[R], str]) -> str | None:
    """Return the cursor of the page that follows, where one row more than `limit` was found."""
    return cursor(rows[limit - 1]) if len(rows) > limit else None
