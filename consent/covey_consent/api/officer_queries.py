"""Queries of officers: who allowed a purpose at a time, people, rounds; as JSON, and tables as CSV too.

A page of CSV has the next page's `cursor` in the header `Covey-Next`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from json import JSONDecodeError
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from covey_consent.access.roles import Caller, Role
from covey_consent.api.authorization import everyone, needs
from covey_consent.api.http import RegistryDep
from covey_consent.api.pages import Page, PageRequest, Paging
from covey_consent.api.schemas import AskedMoment, ClosedModel, End, Pseudonym
from covey_consent.documents import officer_queries
from covey_consent.registry import Registry
from covey_consent.storage.csv_tables import table

router = APIRouter(prefix="/v1", tags=["officers"])

CSV = "text/csv; charset=utf-8"
Format = Annotated[Literal["json", "csv"], Query(alias="format", description="csv: the page as a table")]
AS_CSV: dict[int | str, dict[str, Any]] = {200: {"content": {CSV: {}}}}

Reference = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
Watcher = Annotated[Caller, needs(Role.OFFICER, Role.AUDITOR, about=everyone)]
EmptyIsNull = Annotated[str | None, BeforeValidator(lambda text: text or None)]


class Allowing(BaseModel):
    """A person who allowed the purpose, by which event on which notice; null where no consent is needed."""

    model_config = ConfigDict(from_attributes=True)

    subject: str
    event: EmptyIsNull
    notice: EmptyIsNull
    allowed_at: End
    expires_at: End


class Sought(ClosedModel):
    """Whom is looked for: by the first digits of a pseudonym, or by the reference that the shop gave."""

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

    model_config = ConfigDict(from_attributes=True)

    subject: str
    enrolled_at: int
    devices: int


class KnownBy(ClosedModel):
    """By which reference the shop knows a person; what is kept of it is a keyed hash."""

    reference: Reference


class RoundSummary(BaseModel):
    """A round as the log has it, its epsilon by its manifest; `outcome` is empty while it has no evidence."""

    model_config = ConfigDict(from_attributes=True)

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
    purpose: Annotated[str, Path(pattern="^[a-z_]{1,64}$")],
    registry: RegistryDep,
    _caller: Watcher,
    page: Paging,
    at: AskedMoment | None = None,
    written_as: Format = "json",
) -> Any:
    """List who allowed a purpose at a time, or now, by pseudonym; a page may be shorter than `limit`."""
    listing, after = f"allowing {purpose}", ""
    when = registry.calendar.milliseconds if at is None else int(at.timestamp() * 1000)
    if page.cursor is not None:
        place = registry.cursors.place(listing, page.cursor)
        after, when = str(place[0]), int(place[1])
    people, last = await registry.store.read(officer_queries.allowing, purpose, when, after, page.limit)
    rest = None if last is None else registry.cursors.after(listing, last, when)
    items = [Allowing.model_validate(one) for one in people]
    return paged(Page[Allowing](items=items, next=rest), Allowing, written_as)


async def subject_of_search(registry: Registry, request: Request) -> str | None:
    """Return the person whom a search by reference finds; a search by prefix is about several people."""
    try:
        said = await request.json()
    except (JSONDecodeError, UnicodeDecodeError):
        return None
    reference = said.get("reference") if isinstance(said, dict) else None
    if not isinstance(reference, str):
        return None
    found = await registry.store.read(officer_queries.by_reference, registry.key, reference.strip())
    return found[0].subject if found else None


@router.post("/subjects:search", response_model=Page[FoundPerson])
async def search(
    sought: Sought,
    registry: RegistryDep,
    _caller: Annotated[Caller, needs(Role.OFFICER, Role.AUDITOR, about=subject_of_search)],
) -> Page[FoundPerson]:
    """Find people by the first 4 or more digits of a pseudonym, or the person of a shop's reference.

    What is looked for stands in the body: an address ends up in the logs of proxies.
    """
    listing, page = f"prefix {sought.prefix}", PageRequest(registry, sought.cursor, sought.limit)
    if sought.reference is not None:
        rest, found = (
            None,
            await registry.store.read(officer_queries.by_reference, registry.key, sought.reference),
        )
    else:
        prefix, after = sought.prefix or "", page.name(listing)
        found = await registry.store.read(officer_queries.by_prefix, prefix, after, page.limit + 1)
        rest = page.following(listing, found, lambda person: person.subject)
    people = [FoundPerson.model_validate(person) for person in found[: page.limit]]
    return Page[FoundPerson](items=people, next=rest)


@router.put("/subjects/{subject}/reference", status_code=204)
async def set_reference(
    subject: Pseudonym,
    known: KnownBy,
    registry: RegistryDep,
    _caller: Annotated[Caller, needs(Role.SERVICE, Role.ADMIN)],
) -> Response:
    """Keep the reference by which the shop knows a person, such as a customer number, for searches."""
    await registry.store.write(officer_queries.refer, registry.key, subject, known.reference)
    return Response(status_code=204)


@router.get("/rounds", response_model=Page[RoundSummary], responses=AS_CSV)
async def list_rounds(
    registry: RegistryDep,
    _caller: Annotated[Caller, needs(Role.OFFICER, Role.AUDITOR, Role.ADMIN)],
    page: Paging,
    written_as: Format = "json",
) -> Any:
    """List every round with what it costs a person in epsilon, in the order of the log."""
    after = page.number("rounds", first=-1)
    found = await registry.store.read(officer_queries.list_rounds, after, page.limit + 1)
    rest = page.following("rounds", found, lambda line: line.manifest_index)
    lines = [RoundSummary.model_validate(line) for line in found[: page.limit]]
    return paged(Page[RoundSummary](items=lines, next=rest), RoundSummary, written_as)


def paged(page: Page[Any], model: type[BaseModel], written_as: str) -> Any:
    """Return a page as it is, or as CSV with the model's columns but lists of models."""
    if written_as == "json":
        return page
    rows: Sequence[Mapping[str, Any]] = [one.model_dump(mode="json") for one in page.items]
    headers = {"Covey-Next": page.next} if page.next is not None else None
    columns = [name for name in model.model_fields if name != "steps"]
    return Response(table(columns, rows), media_type=CSV, headers=headers)
