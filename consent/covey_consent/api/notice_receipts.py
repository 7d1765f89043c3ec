"""Which texts people were shown, told by whoever showed them."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.config import JsonDict
from sqlalchemy.orm import Session

from covey_consent.access.authorization import needs, require_own
from covey_consent.access.roles import Caller, Role
from covey_consent.api.http import Here
from covey_consent.api.idempotency import OnceOnly, answer
from covey_consent.api.pages import Cursor, Limit, Page, following
from covey_consent.decisions import notice_receipts
from covey_consent.registry import Registry
from covey_consent.storage.idempotency import Answer
from covey_consent.storage.models import ServedNotice
from covey_privacy.semver import PATTERN

router = APIRouter(prefix="/v1/served", tags=["notices"])

Pseudonym = Annotated[str, StringConstraints(pattern="^[0-9a-f]{32}$")]

_EXAMPLE: JsonDict = {
    "subject": "5e" * 16, "purpose": "analytics", "version": "1.1.0", "language": "en",
    "text_digest": "ab" * 32, "place": "dialog", "at": 1800000000000,
}  # fmt: skip


class Shown(BaseModel):
    """A person was shown a text; `at` in Unix milliseconds."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_EXAMPLE]})

    subject: Pseudonym
    purpose: Annotated[str, StringConstraints(pattern="^[a-z_]{1,64}$")]
    version: Annotated[str, StringConstraints(pattern=PATTERN)]
    language: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    text_digest: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
    place: Literal["onboarding", "settings", "dialog"]
    at: Annotated[int, Field(ge=0, lt=2**63)]


class Record(Shown):
    """The same as it is kept."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**_EXAMPLE, "id": 7}]})

    id: int

    @classmethod
    def of(cls, row: ServedNotice) -> Record:
        """Describe a record."""
        plain = {name: getattr(row, name) for name in cls.model_fields}
        return cls.model_validate(plain | {"text_digest": row.text_digest.hex()})


@router.post("", status_code=201, response_model=Record)
async def serve(
    shown: Shown, here: Here, caller: Annotated[Caller, needs(Role.SUBJECT, Role.SERVICE)], once: OnceOnly
) -> Response:
    """Keep that a person was shown a text. A person tells of themselves, or of their child."""
    if caller.role is Role.SUBJECT:
        await require_own(here, caller, shown.subject)
    return await once.create(caller, _record, here, shown)


@router.get("")
async def list_served(
    here: Here,
    _caller: Annotated[Caller, needs(Role.SUBJECT, Role.OFFICER, Role.AUDITOR)],
    subject: Annotated[str, Query(pattern="^[0-9a-f]{32}$")],
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Page[Record]:
    """List what a person was shown, the oldest first."""
    listing = f"served {subject}"
    after = 0 if cursor is None else int(here.cursors.place(listing, cursor)[0])
    found = await here.store.read(notice_receipts.shown_to, subject, after, limit + 1)
    rest = following(found, limit, lambda row: here.cursors.after(listing, row.id))
    return Page[Record](items=[Record.of(row) for row in found[:limit]], next=rest)


def _record(session: Session, here: Registry, shown: Shown) -> Answer:
    told = shown.model_dump() | {"text_digest": bytes.fromhex(shown.text_digest)}
    row = notice_receipts.record(session, ServedNotice(**told), here.calendar)
    return answer(Record.of(row), shown.subject)
