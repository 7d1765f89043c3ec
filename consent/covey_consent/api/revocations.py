"""Revoking access tokens: one, or all that somebody has. It counts at once."""

from __future__ import annotations

from typing import Annotated, Self

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from sqlalchemy import select
from sqlalchemy.orm import Session

from covey_consent.access.authorization import needs
from covey_consent.access.revocations import Revocation
from covey_consent.access.roles import Caller, Role
from covey_consent.api.http import Here
from covey_consent.api.idempotency import OnceOnly, answer
from covey_consent.api.pages import Cursor, Limit, Page, following
from covey_consent.registry import Registry
from covey_consent.storage.idempotency import Answer

router = APIRouter(prefix="/v1/revocations", tags=["access"])

LISTING = "revocations"

Admin = Annotated[Caller, needs(Role.ADMIN)]
Watcher = Annotated[Caller, needs(Role.ADMIN, Role.AUDITOR)]
Id = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class NewRevocation(BaseModel):
    """One token, by its id (`jti`), or every token of a role and name that was issued so far."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"role": "officer", "name": "olga"}]}
    )

    token: Id | None = None
    role: Role | None = None
    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        named = self.role is not None and self.name is not None
        if (self.token is not None) == named or (self.role is None) != (self.name is None):
            raise ValueError("name either token, by its id, or role and name")
        return self


class Revoked(BaseModel):
    """A revocation; times in Unix seconds. It is kept `until` no token of those can be good any more."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={
            "examples": [
                {
                    "id": 1, "token": None, "role": "officer", "name": "olga", "at": 1800000000, "by": "ada",
                    "until": 1800086400,
                }
            ]
        },
    )  # fmt: skip

    id: int
    token: str | None
    role: Role | None
    name: str | None
    at: int
    by: str
    until: int


@router.post("", status_code=201, response_model=Revoked)
async def revoke(said: NewRevocation, here: Here, caller: Admin, once: OnceOnly) -> Response:
    """Revoke a token, or all of a role and name: no request with them is answered from now on."""
    return await once.create(caller, _revoke, here, said, caller)


@router.get("")
async def list_revocations(
    here: Here, _caller: Watcher, cursor: Cursor = None, limit: Limit = 100
) -> Page[Revoked]:
    """List what is revoked, oldest first."""
    after = 0 if cursor is None else int(here.cursors.place(LISTING, cursor)[0])
    query = select(Revocation).where(Revocation.id > after).order_by(Revocation.id).limit(limit + 1)
    found = await here.store.read(lambda session: session.scalars(query).all())
    rest = following(found, limit, lambda row: here.cursors.after(LISTING, row.id))
    return Page[Revoked](items=[Revoked.model_validate(row) for row in found[:limit]], next=rest)


def _revoke(session: Session, here: Registry, said: NewRevocation, caller: Caller) -> Answer:
    now = here.calendar.now
    # A provider's clock may run ahead, and its tokens with it.
    until = now + here.settings.token_seconds + here.settings.tolerance_seconds
    row = Revocation(token=said.token, role=said.role, name=said.name, at=now, by=caller.name, until=until)
    return answer(Revoked.model_validate(here.gate.revocations.add(session, row)))
