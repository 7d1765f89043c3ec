"""Impact assessments: written by one officer, approved by another person."""

from __future__ import annotations

import uuid
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.config import JsonDict
from sqlalchemy.orm import Session

from covey_consent.access.authorization import needs
from covey_consent.access.roles import Caller, Role
from covey_consent.api.http import Here
from covey_consent.api.idempotency import OnceOnly, answer
from covey_consent.api.pages import Cursor, Limit, Page, following
from covey_consent.api.preconditions import IfMatch, etag, require_match, tagged
from covey_consent.policy import assessments
from covey_consent.registry import Registry
from covey_consent.storage.idempotency import Answer
from covey_consent.storage.models import Assessment

router = APIRouter(prefix="/v1/assessments", tags=["assessments"])

Name = Annotated[str, StringConstraints(pattern="^[a-z_]{1,64}$")]

Id = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]

WATCHED = needs(Role.OFFICER, Role.AUDITOR, Role.ADMIN)

LISTING = "assessments"

_EXAMPLE: JsonDict = {
    "purpose": "health",
    "kind": "dpia",
    "document_sha256": "ab" * 32,
    "valid_until": 1830000000,
}


class Written(BaseModel):
    """An assessment as it is brought; `valid_until` in Unix seconds."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_EXAMPLE]})

    purpose: Name
    kind: Literal["dpia", "pipia"]
    document_sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
    valid_until: Annotated[int, Field(ge=0, le=2**40)]


class Kept(BaseModel):
    """An assessment as it is kept; times in Unix seconds."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **_EXAMPLE, "id": "0f" * 16, "author": "ada", "written_at": 1800000000,
                    "approved_by": "grace", "approved_at": 1800003600,
                }
            ]
        }
    )  # fmt: skip

    id: str
    purpose: str
    kind: str
    document_sha256: str
    author: str
    written_at: int
    valid_until: int
    approved_by: str | None
    approved_at: int | None

    @classmethod
    def of(cls, row: Assessment) -> Kept:
        """Describe an assessment."""
        return cls(
            id=row.id, purpose=row.purpose, kind=row.kind, document_sha256=row.document.hex(),
            author=row.author, written_at=row.written_at, valid_until=row.valid_until,
            approved_by=row.approved_by, approved_at=row.approved_at,
        )  # fmt: skip


@router.post("", status_code=201, response_model=Kept)
async def propose(
    written: Written, here: Here, caller: Annotated[Caller, needs(Role.OFFICER)], once: OnceOnly
) -> Response:
    """Bring an assessment of a purpose, by the hash of its document. It counts once it is approved."""
    return await once.create(caller, _propose, here, written, caller)


@router.post("/{assessment}/approval")
async def approve(
    assessment: Id,
    here: Here,
    caller: Annotated[Caller, needs(Role.OFFICER, Role.ADMIN)],
    response: Response,
    if_match: IfMatch = None,
) -> Kept:
    """Approve an assessment that another person wrote."""
    return tagged(response, await here.store.write(_approve, here, assessment, caller, if_match))


@router.get("", dependencies=[WATCHED])
async def list_assessments(
    here: Here,
    purpose: Annotated[str | None, Query(pattern="^[a-z_]{1,64}$")] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Page[Kept]:
    """List the assessments of one purpose, or of all, the oldest first."""
    after = here.cursors.moment(LISTING, cursor)
    found = await here.store.read(assessments.listed, purpose, after, limit + 1)
    rest = following(found, limit, lambda row: here.cursors.after(LISTING, row.written_at, row.id))
    return Page[Kept](items=[Kept.of(row) for row in found[:limit]], next=rest)


@router.get("/{assessment}", dependencies=[WATCHED])
async def read_assessment(assessment: Id, here: Here, response: Response) -> Kept:
    """Return an assessment; its ETag is needed to approve it."""
    return tagged(response, Kept.of(await here.store.read(assessments.find, assessment)))


def _propose(session: Session, here: Registry, written: Written, caller: Caller) -> Answer:
    row = Assessment(
        id=uuid.uuid4().hex, purpose=written.purpose, kind=written.kind, author=caller.name,
        document=bytes.fromhex(written.document_sha256), written_at=here.calendar.now,
        valid_until=written.valid_until, approved_by=None, approved_at=None,
    )  # fmt: skip
    return answer(Kept.of(assessments.propose(session, row)))


def _approve(session: Session, here: Registry, id_: str, caller: Caller, if_match: str | None) -> Kept:
    require_match(if_match, etag(Kept.of(assessments.find(session, id_))))
    return Kept.of(assessments.approve(session, id_, caller.name, here.calendar.now))
