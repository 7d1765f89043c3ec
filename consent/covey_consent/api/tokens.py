"""Access tokens: a device gets one for a proof by its key (RFC 9449); an administrator revokes them."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from sqlalchemy import select
from sqlalchemy.orm import Session

from covey_consent.access.idempotency import Answer
from covey_consent.access.revocations import Revocation
from covey_consent.access.roles import Caller, Role
from covey_consent.access.tokens import DEVICE_SECONDS
from covey_consent.api.authorization import needs
from covey_consent.api.http import RegistryDep
from covey_consent.api.pages import Page, Paging
from covey_consent.api.request_headers import OnceOnly, answer
from covey_consent.api.schemas import ClosedModel
from covey_consent.decisions import subjects

router = APIRouter(tags=["access"])

LISTING = "revocations"


class DeviceToken(BaseModel):
    """An access token, and for how many seconds it holds (RFC 6749, section 5.1)."""

    access_token: str
    token_type: Literal["DPoP"] = "DPoP"  # noqa: S105  the name of a scheme
    expires_in: int = DEVICE_SECONDS


class NewRevocation(ClosedModel):
    """One token, by its id (`jti`), or every token of a role and name that was issued so far."""

    token: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
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

    model_config = ConfigDict(from_attributes=True)

    id: int
    token: str | None
    role: Role | None
    name: str | None
    at: int
    by: str
    until: int


@router.post("/v1/device-tokens")
async def issue_device_token(request: Request, registry: RegistryDep) -> DeviceToken:
    """Answer a DPoP proof by an enrolled device's key with a token for its person, bound to the key."""
    now = registry.calendar.now
    proof = registry.authenticator.proof(request, now)
    device = proof.device
    people = await registry.store.read(subjects.people_of_devices, {device})
    caller = Caller(Role.SUBJECT, "device", people[device], device)
    return DeviceToken(access_token=registry.tokens.mint(caller, now, DEVICE_SECONDS, proof.thumbprint))


@router.post("/v1/revocations", status_code=201, response_model=Revoked)
async def revoke(
    said: NewRevocation, registry: RegistryDep, caller: Annotated[Caller, needs(Role.ADMIN)], once: OnceOnly
) -> Response:
    """Revoke a token, or all of a role and name: no request with them is answered from now on."""
    now = registry.calendar.now
    # A provider's clock may run ahead, and its tokens with it.
    until = now + registry.settings.token_seconds + registry.settings.tolerance_seconds

    def add(session: Session) -> Answer:
        row = Revocation(**said.model_dump(), at=now, by=caller.name, until=until)
        return answer(Revoked.model_validate(registry.authenticator.revocations.add(session, row)))

    return await once.create(caller, add)


@router.get("/v1/revocations")
async def list_revocations(
    registry: RegistryDep, _caller: Annotated[Caller, needs(Role.ADMIN, Role.AUDITOR)], page: Paging
) -> Page[Revoked]:
    """List what is revoked, oldest first."""
    after = page.number(LISTING)
    query = select(Revocation).where(Revocation.id > after).order_by(Revocation.id).limit(page.limit + 1)
    found = await registry.store.read(lambda session: session.scalars(query).all())
    rest = page.following(LISTING, found, lambda row: row.id)
    return Page[Revoked](items=[Revoked.model_validate(row) for row in found[: page.limit]], next=rest)
