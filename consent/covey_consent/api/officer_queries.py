"""What officers look up: who allowed a purpose at a time, people, rounds; as JSON, and tables as CSV too.

A page of CSV says in `Covey-Next` what the next one takes as `cursor`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from json import JSONDecodeError
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, Field, StringConstraints, model_validator

from covey_consent.access.authorization import everyone, needs
from covey_consent.access.roles import Caller, Role
from covey_consent.api.consents import Moment
from covey_consent.api.http import Here
from covey_consent.api.pages import Cursor, Limit, Page, following
from covey_consent.api.schemas import SUBJECT, Pseudonym, config, end, moment, shown
from covey_consent.decisions import officer_queries
from covey_consent.registry import Registry
from covey_consent.storage.csv_tables import table

router = APIRouter(prefix="/v1", tags=["officers"])

CSV = "text/csv; charset=utf-8"
Format = Annotated[Literal["json", "csv"], Query(alias="format", description="csv: the page as a table")]
AS_CSV: dict[int | str, dict[str, Any]] = {200: {"content": {CSV: {}}}}

Reference = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
Watcher = Annotated[Caller, needs(Role.OFFICER, Role.AUDITOR, about=everyone)]


class Allowing(BaseModel):
    """A person who allowed the purpose, by which event on which notice; null where no consent is needed."""

    model_config = shown(
        {
            "subject": SUBJECT, "event": "0d0f4a3e-6a53-4d3c-9f5b-0f6a5c0c9c11", "notice": "1.0.0",
            "allowed_at": "2027-01-15T08:00:00Z", "expires_at": None,
        }
    )  # fmt: skip

    subject: str
    event: str | None
    notice: str | None
    allowed_at: AwareDatetime | None
    expires_at: AwareDatetime | None


class Sought(BaseModel):
    """Whom is looked for: by the first digits of a pseudonym, or by the reference that the shop gave."""

    model_config = config({"prefix": "5f0c2a7d"}, {"reference": "customer 4711"})

    prefix: Annotated[str, StringConstraints(pattern="^[0-9a-f]{4,32}$")] | None = None
    reference: Reference | None = None
    cursor: Annotated[str, Field(max_length=512)] | None = None
    limit: Annotated[int, Field(ge=1, le=500)] = 100

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.prefix is None) == (self.reference is None):
            raise ValueError("name the prefix of a pseudonym or a reference, one of the two")
        return self


class FoundPerson(BaseModel):
    """A person; `enrolled_at` is the begin of an hour, in Unix seconds."""

    model_config = shown({"subject": SUBJECT, "enrolled_at": 1799996400, "devices": 1})

    subject: str
    enrolled_at: int
    devices: int


class KnownBy(BaseModel):
    """By which reference the shop knows a person; what is kept of it is a keyed hash."""

    model_config = config({"reference": "customer 4711"})

    reference: Reference


class RoundLine(BaseModel):
    """A round as the log has it, its epsilon by its manifest; `outcome` is empty while it has no evidence."""

    model_config = shown(
        {
            "round_id": "round-1", "query": "q1", "purpose": "analytics", "purposes": "analytics+personalize",
            "epoch": 20833, "epsilon": 0.5, "epsilon_so_far": 1.5, "delta": 1e-6, "sigma": 10.0,
            "cohort": 130, "outcome": "released", "manifest_index": 40, "evidence_index": 44,
        }
    )  # fmt: skip

    round_id: str
    query: str
    purpose: str
    purposes: str
    epoch: int
    epsilon: float
    epsilon_so_far: float | None
    delta: float
    sigma: float
    cohort: int | None
    outcome: str
    manifest_index: int
    evidence_index: int | None


@router.get("/purposes/{purpose}/subjects", response_model=Page[Allowing], responses=AS_CSV)
async def list_allowing(
    purpose: Annotated[str, Path(pattern="^[a-z_]{1,64}$")], here: Here, _caller: Watcher,
    at: Moment | None = None, cursor: Cursor = None, limit: Limit = 100, written_as: Format = "json",
) -> Any:  # fmt: skip
    """List who allowed a purpose at a time, or now, by pseudonym; a page may be shorter than `limit`."""
    when = here.calendar.milliseconds if at is None else int(at.timestamp() * 1000)
    if cursor is None:
        after = ""
    else:
        after, when = _place(here, f"allowing {purpose}", cursor)
    people, last = await here.store.read(officer_queries.allowing, purpose, when, after, limit)
    rest = None if last is None else here.cursors.after(f"allowing {purpose}", last, when)
    return paged(Page[Allowing](items=[_allowing(one) for one in people], next=rest), Allowing, written_as)


async def of_search(here: Registry, request: Request) -> str | None:
    """Return the person whom a search by reference finds; one by prefix is about nobody alone."""
    try:
        said = await request.json()
    except (JSONDecodeError, UnicodeDecodeError):
        return None
    reference = said.get("reference") if isinstance(said, dict) else None
    if not isinstance(reference, str):
        return None
    found = await here.store.read(officer_queries.by_reference, here.key, reference.strip())
    return found[0].subject if found else None


@router.post("/subjects:search", response_model=Page[FoundPerson])
async def search(
    sought: Sought, here: Here, _caller: Annotated[Caller, needs(Role.OFFICER, Role.AUDITOR, about=of_search)]
) -> Page[FoundPerson]:
    """Find people by the first 4 or more digits of a pseudonym, or the person of a shop's reference.

    What is looked for stands in the body: an address ends up in the logs of proxies.
    """
    if sought.reference is not None:
        one = await here.store.read(officer_queries.by_reference, here.key, sought.reference)
        return Page[FoundPerson](items=[FoundPerson(**asdict(person)) for person in one])
    prefix, listing = sought.prefix or "", f"prefix {sought.prefix}"
    after = "" if sought.cursor is None else str(here.cursors.place(listing, sought.cursor)[0])
    found = await here.store.read(officer_queries.by_prefix, prefix, after, sought.limit + 1)
    rest = following(found, sought.limit, lambda person: here.cursors.after(listing, person.subject))
    people = [FoundPerson(**asdict(person)) for person in found[: sought.limit]]
    return Page[FoundPerson](items=people, next=rest)


@router.put("/subjects/{subject}/reference", status_code=204)
async def set_reference(
    subject: Pseudonym, known: KnownBy, here: Here,
    _caller: Annotated[Caller, needs(Role.SERVICE, Role.ADMIN)],
) -> Response:  # fmt: skip
    """Keep the reference by which the shop knows a person, such as a customer number, for searches."""
    await here.store.write(officer_queries.refer, here.key, subject, known.reference)
    return Response(status_code=204)


@router.get("/rounds", response_model=Page[RoundLine], responses=AS_CSV)
async def list_rounds(
    here: Here, _caller: Annotated[Caller, needs(Role.OFFICER, Role.AUDITOR, Role.ADMIN)],
    cursor: Cursor = None, limit: Limit = 100, written_as: Format = "json",
) -> Any:  # fmt: skip
    """List every round with what it costs a person in epsilon, in the order of the log."""
    after = -1 if cursor is None else int(here.cursors.place("rounds", cursor)[0])
    found = await here.store.read(officer_queries.list_rounds, after, limit + 1)
    rest = following(found, limit, lambda line: here.cursors.after("rounds", line.manifest_index))
    page = Page[RoundLine](items=[RoundLine(**asdict(line)) for line in found[:limit]], next=rest)
    return paged(page, RoundLine, written_as)


def paged(page: Page[Any], model: type[BaseModel], written_as: str) -> Any:
    """Return a page as it is, or as CSV with the model's columns but lists of models."""
    if written_as == "json":
        return page
    rows: Sequence[Mapping[str, Any]] = [one.model_dump(mode="json") for one in page.items]
    headers = {"Covey-Next": page.next} if page.next is not None else None
    columns = [name for name in model.model_fields if name != "steps"]
    return Response(table(columns, rows), media_type=CSV, headers=headers)


def _allowing(one: officer_queries.AllowingPerson) -> Allowing:
    return Allowing(
        subject=one.subject, event=one.event or None, notice=one.notice or None,
        allowed_at=_moment(one.allowed_at), expires_at=end(one.expires_at),
    )  # fmt: skip


def _moment(milliseconds: int) -> datetime | None:
    return moment(milliseconds) if milliseconds else None


def _place(here: Registry, listing: str, cursor: str) -> tuple[str, int]:
    subject, when = here.cursors.place(listing, cursor)
    return str(subject), int(when)
