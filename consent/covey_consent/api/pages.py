"""Keyset pagination: every page costs the same, and no row is shown twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

from fastapi import Depends, Query
from pydantic import BaseModel

from covey_consent.api.http import RegistryDep
from covey_consent.storage.cursors import LONGEST

T = TypeVar("T")
R = TypeVar("R")


class Page(BaseModel, Generic[T]):
    """Some rows of a listing; `next` is the cursor of the page that follows, null on the last."""

    items: list[T]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class PageRequest:
    """The page of a listing that a request asks for."""

    registry: RegistryDep
    cursor: Annotated[str | None, Query(max_length=LONGEST, description="`next` of the page before")] = None
    limit: Annotated[int, Query(ge=1, le=500, description="Rows on the page")] = 100

    def number(self, listing: str, first: int = 0) -> int:
        """Return the number of the row that the page goes on after, `first` to begin."""
        return first if self.cursor is None else int(self.registry.cursors.place(listing, self.cursor)[0])

    def name(self, listing: str) -> str:
        """Return the name of the row that the page goes on after, "" to begin."""
        return "" if self.cursor is None else str(self.registry.cursors.place(listing, self.cursor)[0])

    def moment(self, listing: str) -> tuple[int, str] | None:
        """Return the time and id of the row that the page goes on after, None to begin."""
        return self.registry.cursors.moment(listing, self.cursor)

    def following(
        self, listing: str, rows: Sequence[R], key: Callable[[R], int | str | tuple[int | str, ...]]
    ) -> str | None:
        """Return the cursor of the page that follows, where one row more than `limit` was found.

        `key` gives the sort key of a row.
        """
        if len(rows) <= self.limit:
            return None
        last = key(rows[self.limit - 1])
        return self.registry.cursors.after(listing, *(last if isinstance(last, tuple) else (last,)))


Paging = Annotated[PageRequest, Depends()]
