"""The access log, for administrators and auditors. Reading it is logged in it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict

from covey_consent.access import access_log
from covey_consent.access.roles import Caller, Role
from covey_consent.api.authorization import needs
from covey_consent.api.http import RegistryDep
from covey_consent.api.pages import Page, Paging

router = APIRouter(tags=["access"])

LISTING = "access-log"


class Row(BaseModel):
    """One request: when (Unix seconds), who, which operation, about whom, why."""

    model_config = ConfigDict(from_attributes=True)

    at: int
    role: Role
    name: str
    operation: str
    subject: str | None
    reason: str | None


@router.get("/v1/access-log")
async def read_access_log(
    registry: RegistryDep,
    _caller: Annotated[Caller, needs(Role.ADMIN, Role.AUDITOR)],
    page: Paging,
    name: Annotated[str | None, Query(max_length=200)] = None,
    subject: Annotated[str | None, Query(pattern="^[0-9a-f]{32}$")] = None,
) -> Page[Row]:
    """List who looked and who acted, newest first: all, one member of staff's, or about one person."""
    before = None if page.cursor is None else page.number(LISTING)
    found = await registry.store.read(access_log.find, name, subject, before, page.limit + 1)
    rest = page.following(LISTING, found, lambda access: access.id)
    return Page[Row](items=[Row.model_validate(access) for access in found[: page.limit]], next=rest)
