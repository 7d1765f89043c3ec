"""Impact assessments: written by one officer, approved by another person."""

from __future__ import annotations

import uuid
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from sqlalchemy.orm import Session

from covey_consent.access.idempotency import Answer
from covey_consent.access.roles import Caller, Role
from covey_consent.api.authorization import needs
from covey_consent.api.http import RegistryDep
from covey_consent.api.pages import Page, Paging
from covey_consent.api.request_headers import IfMatch, OnceOnly, answer, etag, require_match, tagged
from covey_consent.api.schemas import ClosedModel, Digest
from covey_consent.policy import assessments
from covey_consent.storage.models import Assessment

router = APIRouter(prefix="/v1/assessments", tags=["assessments"])

Id = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]

WATCHED = needs(Role.OFFICER, Role.AUDITOR, Role.ADMIN)

LISTING = "assessments"


class Written(ClosedModel):
    """An assessment as it is brought; `valid_until` in Unix seconds."""

    purpose: Annotated[str, StringConstraints(pattern="^[a-z_]{1,64}$")]
    kind: Literal["dpia", "pipia"]
    document_sha256: Digest
    valid_until: Annotated[int, Field(ge=0, le=2**40)]


class Kept(BaseModel):
    """An assessment as it is kept; times in Unix seconds."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    purpose: str
    kind: str
    document_sha256: Annotated[str, Field(validation_alias="document"), BeforeValidator(bytes.hex)]
    author: str
    written_at: int
    valid_until: int
    approved_by: str | None
    approved_at: int | None


@router.post("", status_code=201, response_model=Kept)
async def propose(
    written: Written, registry: RegistryDep, caller: Annotated[Caller, needs(Role.OFFICER)], once: OnceOnly
) -> Response:
    """Bring an assessment of a purpose, by the hash of its document. It counts once it is approved."""

    def work(session: Session) -> Answer:
        row = Assessment(
            id=uuid.uuid4().hex, purpose=written.purpose, kind=written.kind, author=caller.name,
            document=bytes.fromhex(written.document_sha256), written_at=registry.calendar.now,
            valid_until=written.valid_until, approved_by=None, approved_at=None,
        )  # fmt: skip
        return answer(Kept.model_validate(assessments.propose(session, row)))

    return await once.create(caller, work)


@router.post("/{assessment}/approval")
async def approve(
    assessment: Id,
    registry: RegistryDep,
    caller: Annotated[Caller, needs(Role.OFFICER, Role.ADMIN)],
    response: Response,
    if_match: IfMatch = None,
) -> Kept:
    """Approve an assessment that another person wrote."""

    def work(session: Session) -> Kept:
        require_match(if_match, etag(Kept.model_validate(assessments.find(session, assessment))))
        return Kept.model_validate(
            assessments.approve(session, assessment, caller.name, registry.calendar.now)
        )

    return tagged(response, await registry.store.write(work))


@router.get("", dependencies=[WATCHED])
async def list_assessments(
    registry: RegistryDep,
    page: Paging,
    purpose: Annotated[str | None, Query(pattern="^[a-z_]{1,64}$")] = None,
) -> Page[Kept]:
    """List the assessments of one purpose, or of all, the oldest first."""
    found = await registry.store.read(assessments.listed, purpose, page.moment(LISTING), page.limit + 1)
    rest = page.following(LISTING, found, lambda row: (row.written_at, row.id))
    return Page[Kept](items=[Kept.model_validate(row) for row in found[: page.limit]], next=rest)


@router.get("/{assessment}", dependencies=[WATCHED])
async def read_assessment(assessment: Id, registry: RegistryDep, response: Response) -> Kept:
    """Return an assessment; its ETag is needed to approve it."""
    return tagged(response, Kept.model_validate(await registry.store.read(assessments.find, assessment)))
