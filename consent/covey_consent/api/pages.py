"""Pages of a listing: by keyset, so that a page costs the same wherever it lies and none is shown twice."""

from __future__ import annotations

from typing import Annotated, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel

from covey_consent.cursors import LONGEST

T = TypeVar("T")

Limit = Annotated[int, Query(ge=1, le=500, description="Rows on the page")]
Cursor = Annotated[str | None, Query(max_length=LONGEST, description="`next` of the page before")]


class Page(BaseModel, Generic[T]):
    """Some rows of a listing; `next` is the cursor of the page that follows, null on the last."""

    items: list[T]
    next: str | None = None
