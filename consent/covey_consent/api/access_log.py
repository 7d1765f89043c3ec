"""The access log, for administrators and auditors. Reading it is logged in it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict

from covey_consent.access import access_log
from covey_consent.access.access_log import Access, Sought
from covey_consent.access.authorization import needs
from covey_consent.access.roles import Caller, Role
from covey_consent.api.http import Here
from covey_consent.api.pages import Cursor, Limit, Page, following

router = APIRouter(tags=["access"])

LISTING = "access-log"


class Row(BaseModel):
    """One request: when (Unix seconds), who, which operation, about whom, why."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={
            "examples": [
                {
                    "at": 1800000000,
                    "role": "officer",
                    "name": "alice",
                    "operation": "read_history",
                    "subject": "5f0c1e6f2a7b4c1d9e8f70615243a1b2",
                    "reason": "request 17 of the person",
                }
            ]
        },
    )

    at: int
    role: Role
    name: str
    operation: str
    subject: str | None
    reason: str | None


@router.get("/v1/access-log")
async def read_access_log(
    here: Here,
    _caller: Annotated[Caller, needs(Role.ADMIN, Role.AUDITOR)],
    name: Annotated[str | None, Query(max_length=200)] = None,
    subject: Annotated[str | None, Query(pattern="^[0-9a-f]{32}$")] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Page[Row]:
    """List who looked and who acted, newest first: all, one member of staff's, or about one person."""
    before = None if cursor is None else int(here.cursors.place(LISTING, cursor)[0])
    found = await here.store.read(access_log.find, Sought(name, subject, before), limit + 1)
    rest = following(found, limit, lambda access: here.cursors.after(LISTING, access.id))
    return Page[Row](items=[_row(access) for access in found[:limit]], next=rest)


def _row(access: Access) -> Row:
    return Row.model_validate(access)
