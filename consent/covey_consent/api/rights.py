"""Routes for the rights of data subjects: requests, their steps, exports, and certificates of erasure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import rfc8785
from fastapi import APIRouter, Query, Response
from fastapi import Request as HttpRequest
from pydantic import BaseModel, ConfigDict, StringConstraints
from sqlalchemy import select
from sqlalchemy.orm import Session

from covey_consent.access.idempotency import Answer
from covey_consent.access.roles import Caller, Role
from covey_consent.api.authorization import everyone, needs
from covey_consent.api.http import RegistryDep
from covey_consent.api.officer_queries import AS_CSV, Format, paged
from covey_consent.api.pages import Page, Paging
from covey_consent.api.request_headers import IfMatch, OnceOnly, answer, etag, require_match, tagged
from covey_consent.api.schemas import ClosedModel, Name, Pseudonym, Words
from covey_consent.api.subjects import Attributes
from covey_consent.decisions import subjects
from covey_consent.errors import ConflictError, DeniedError, RequestError, UnknownError
from covey_consent.registry import Registry
from covey_consent.rights import requests
from covey_consent.rights.erasure import claims_of
from covey_consent.rights.requests import RequestDetails, RequestStep
from covey_consent.rights.states import RequestAction, RequestKind, RequestState, is_overdue
from covey_consent.rights.tables import ErasureStep, RightsRequest, Tombstone
from covey_consent.storage.models import Subject

router = APIRouter(prefix="/v1", tags=["rights"])

LISTING = "rights"

PASSING = ("overdue",)
"""Fields that change without a step, and not with the ETag."""


async def subject_of_request(registry: Registry, request: HttpRequest) -> str | None:
    """Return the person whose request the address names."""
    query = select(RightsRequest.subject).filter_by(id=request.path_params["id_"])
    return await registry.store.read(lambda session: session.scalar(query))


async def subject_of_body(registry: Registry, request: HttpRequest) -> str | None:
    """Return the person whom the body names, where there is one."""
    try:
        said: Any = await request.json()
    except ValueError:
        # An empty body, or one that is no JSON: it names nobody, and the route refuses it in its own words.
        return None
    named = said.get("subject") if isinstance(said, dict) else None
    query = select(Subject.subject).filter_by(subject=named)
    return (
        await registry.store.read(lambda session: session.scalar(query)) if isinstance(named, str) else None
    )


Asker = Annotated[Caller, needs(Role.SUBJECT, Role.OFFICER, about=subject_of_body)]
Lister = Annotated[Caller, needs(Role.SUBJECT, Role.OFFICER, Role.AUDITOR, about=everyone)]
Handler = Annotated[Caller, needs(Role.SUBJECT, Role.OFFICER, about=subject_of_request)]
Watcher = Annotated[Caller, needs(Role.SUBJECT, Role.OFFICER, Role.AUDITOR, about=subject_of_request)]


class NewRequest(ClosedModel):
    """A request. `subject` is needed from an officer; `purpose` for an objection, `changes` to rectify."""

    kind: RequestKind
    subject: Pseudonym | None = None
    words: Words = ""
    purpose: Name | None = None
    changes: Attributes | None = None


class NewStep(ClosedModel):
    """A step. `method` is how an identity was checked; `reason` also a review's answer."""

    step: RequestAction
    method: Annotated[str, StringConstraints(max_length=200, strip_whitespace=True)] = ""
    reason: Words = ""


class RequestStepTaken(BaseModel):
    """A step that was taken; `at` in Unix seconds."""

    model_config = ConfigDict(from_attributes=True)

    step: RequestAction
    state: RequestState
    role: Role
    name: str
    method: str
    reason: str
    at: int


class Request(BaseModel):
    """A request as it stands, times in Unix seconds."""

    id: str
    subject: str
    kind: RequestKind
    purpose: str | None
    words: str
    state: RequestState
    received_at: int
    due_at: int
    extended: bool
    overdue: bool
    entered_role: Role
    entered_by: str
    steps: list[RequestStepTaken] = []


class Erased(BaseModel):
    """An erasure's certificate: a JWS under the registry's key, and the claims in it to read."""

    id: str
    certificate: str
    claims: dict[str, Any]


class ErasureStepTaken(BaseModel):
    """A step on the way to an erasure; `at` in Unix seconds. Of the person themselves no name is kept."""

    model_config = ConfigDict(from_attributes=True)

    step: str
    role: Role
    name: str
    method: str
    reason: str
    at: int


class Trail(BaseModel):
    """Who did what about an erasure, oldest first; `id` stands in the access log for whom it was about."""

    id: str
    steps: list[ErasureStepTaken]


@router.post("/rights", status_code=201, response_model=Request)
async def ask(said: NewRequest, registry: RegistryDep, caller: Asker, once: OnceOnly) -> Response:
    """Take a request: a person's own, or one that an officer enters for them."""
    asked = _details(said, caller)

    def receive(session: Session) -> Answer:
        _require_own(session, caller, asked.subject, registry.calendar.year)
        person = subjects.find(session, asked.subject)
        received = registry.rights.receive(session, asked, caller, person.country or None)
        return answer(_describe(session, registry, received), asked.subject)

    return await once.create(caller, receive)


@router.get("/rights", response_model=Page[Request], responses=AS_CSV)
async def list_requests(
    registry: RegistryDep,
    caller: Lister,
    page: Paging,
    overdue: bool = False,
    due_within: Annotated[
        int | None, Query(ge=1, le=366, description="Days until the answer is due, at most")
    ] = None,
    written_as: Format = "json",
) -> Any:
    """List requests by time of receipt: one's own, or everyone's.

    Only late ones with `overdue`, only open ones that are due within so many days and not late with
    `due_within`; with both, either.
    """

    def read(session: Session) -> Sequence[RightsRequest]:
        after = page.moment(LISTING)
        return registry.rights.page(
            session, caller, after, page.limit + 1, overdue=overdue, due_within=due_within
        )

    rows = await registry.store.read(read)
    items = [_describe(None, registry, row) for row in rows[: page.limit]]
    rest = page.following(LISTING, rows, lambda row: (row.received_at, row.id))
    return paged(Page[Request](items=items, next=rest), Request, written_as)


@router.get("/rights/{id_}")
async def read_request(id_: str, registry: RegistryDep, caller: Watcher, response: Response) -> Request:
    """Return a request with its steps; its ETag is needed for the next one."""
    return tagged(response, await registry.store.read(_read, registry, id_, caller), *PASSING)


@router.post("/rights/{id_}/steps")
async def take_step(
    id_: str,
    said: NewStep,
    registry: RegistryDep,
    caller: Handler,
    response: Response,
    if_match: IfMatch = None,
) -> Request:
    """Take a step: an officer's, or a person's, who may cancel. To fulfil does what was asked for."""
    taken = RequestStep(said.step, said.method, said.reason)

    def take(session: Session) -> Request:
        require_match(if_match, etag(_read(session, registry, id_, caller), *PASSING))
        return _describe(session, registry, registry.rights.take_step(session, id_, taken, caller))

    return tagged(response, await registry.store.write(take), *PASSING)


@router.get("/rights/{id_}/export")
async def export(id_: str, registry: RegistryDep, caller: Handler) -> Response:
    """Return what is held of the person as a zip, where they asked for access or to take it elsewhere."""

    def read(session: Session) -> bytes:
        request = requests.find_request(session, id_, caller, registry.calendar.year)
        if (
            request.kind not in (RequestKind.ACCESS, RequestKind.PORTABILITY)
            or request.state != RequestState.FULFILLED
        ):
            raise ConflictError("there is an export once a request for access or portability is fulfilled")
        return registry.rights.exporter.export(session, request.subject)

    disposition = {
        "Content-Disposition": f'attachment; filename="covey-{id_}.zip"',
        "Cache-Control": "no-store",
    }
    return Response(await registry.store.read(read), media_type="application/zip", headers=disposition)


@router.get("/erasures/{id_}")
async def read_certificate(id_: str, registry: RegistryDep) -> Erased:
    """Return the certificate of the erasure that a request of this id asked for: whoever knows it may ask."""
    kept = await registry.store.read(lambda session: session.get(Tombstone, id_))
    if kept is None:
        raise UnknownError("no request of this id was fulfilled by an erasure")
    return Erased(id=kept.id, certificate=kept.certificate, claims=claims_of(kept.certificate))


@router.get("/erasures/{id_}/steps")
async def read_erasure_steps(
    id_: str, registry: RegistryDep, _caller: Annotated[Caller, needs(Role.AUDITOR, Role.ADMIN)]
) -> Trail:
    """Return who entered, verified and fulfilled an erasure, and when; not whose it was."""
    query = select(ErasureStep).filter_by(erasure=id_).order_by(ErasureStep.number)
    found = await registry.store.read(lambda session: session.scalars(query).all())
    if not found:
        raise UnknownError("no steps are kept of an erasure of this id; they go with the access log's rows")
    return Trail(id=id_, steps=[ErasureStepTaken.model_validate(one) for one in found])


def _details(said: NewRequest, caller: Caller) -> RequestDetails:
    subject = caller.subject if said.subject is None else said.subject
    if subject is None:
        raise RequestError("whose request is it? name the subject")
    if (said.kind is RequestKind.OBJECTION) != (said.purpose is not None):
        raise RequestError("an objection names the purpose that it is to; no other request does")
    if (said.kind is RequestKind.RECTIFICATION) != (said.changes is not None and bool(said.changes.named)):
        raise RequestError("a rectification names the changes that it asks for; no other request does")
    changes = None if said.changes is None else rfc8785.dumps(said.changes.named).decode()
    return RequestDetails(subject, said.kind, said.words, said.purpose, changes)


def _require_own(session: Session, caller: Caller, subject: str, year: int) -> None:
    """Raise DeniedError where a person asks for someone else who is not their child."""
    if caller.role is not Role.SUBJECT or caller.subject:
        subjects.find(session, subject)
    if caller.role is Role.SUBJECT and not subjects.answers_for(session, caller.subject, subject, year):
        raise DeniedError("a person asks for themselves, or for a child whose guardian they are")


def _read(session: Session, registry: Registry, id_: str, caller: Caller) -> Request:
    return _describe(session, registry, requests.find_request(session, id_, caller, registry.calendar.year))


def _describe(session: Session | None, registry: Registry, row: RightsRequest) -> Request:
    """Return the request with its steps; without a session it has none."""
    same = Request.model_fields.keys() - {"overdue", "steps"}
    steps = () if session is None else requests.steps_of(session, row.id)
    return Request(
        **{name: getattr(row, name) for name in same},
        overdue=is_overdue(row, registry.calendar.now),
        steps=[RequestStepTaken.model_validate(step) for step in steps],
    )
