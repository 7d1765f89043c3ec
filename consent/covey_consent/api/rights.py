"""The routes of data subjects' requests: their steps, the export, and what is kept of an erasure."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import rfc8785
from fastapi import APIRouter, Query, Response
from fastapi import Request as HttpRequest
from pydantic import BaseModel, Field, StringConstraints
from sqlalchemy import select
from sqlalchemy.orm import Session

from covey_consent.access.authorization import everyone, needs, reason
from covey_consent.access.roles import Caller, Role
from covey_consent.api.data_subject import of_body, of_request
from covey_consent.api.http import Here
from covey_consent.api.idempotency import OnceOnly, answer
from covey_consent.api.officer_queries import AS_CSV, Format, paged
from covey_consent.api.pages import Cursor, Limit, Page, following
from covey_consent.api.preconditions import IfMatch, etag, require_match, tagged
from covey_consent.api.schemas import SUBJECT, Country, Name, Pseudonym, config, shown
from covey_consent.decisions import subjects
from covey_consent.errors import ConflictError, DeniedError, RequestError, UnknownError
from covey_consent.registry import Registry
from covey_consent.rights import requests
from covey_consent.rights.erasure import claims_of
from covey_consent.rights.requests import RequestDetails, RequestStep
from covey_consent.rights.states import RequestAction, RequestKind, RequestState, is_overdue
from covey_consent.rights.tables import ErasureStep, RightsRequest, RightsStep, Tombstone
from covey_consent.storage.idempotency import Answer
from covey_consent.storage.models import Subject

router = APIRouter(tags=["rights"])

LISTING = "rights"

PASSING = ("overdue",)
"""What time alone changes."""

Words = Annotated[str, StringConstraints(max_length=4000, strip_whitespace=True)]
Days = Annotated[int | None, Query(ge=1, le=366, description="Days until the answer is due, at most")]
Year = Annotated[int, Field(ge=1900, le=2200)]

Asker = Annotated[Caller, needs(Role.SUBJECT, Role.OFFICER, about=of_body)]
Lister = Annotated[Caller, needs(Role.SUBJECT, Role.OFFICER, Role.AUDITOR, about=everyone)]
Handler = Annotated[Caller, needs(Role.SUBJECT, Role.OFFICER, about=of_request)]
Watcher = Annotated[Caller, needs(Role.SUBJECT, Role.OFFICER, Role.AUDITOR, about=of_request)]
Reader = Annotated[Caller, needs(Role.SUBJECT, Role.OFFICER, Role.AUDITOR)]
TrailReader = Annotated[Caller, needs(Role.AUDITOR, Role.ADMIN)]
Officer = Annotated[Caller, needs(Role.OFFICER)]


class Attributes(BaseModel):
    """What is to be put right about a person; what is not named stays."""

    model_config = config({"country": "CN", "birth_year": 1999})

    country: Country | Literal[""] = ""
    birth_year: Year | None = None
    guardian: Pseudonym | None = None

    @property
    def named(self) -> dict[str, Any]:
        """The attributes that were sent, null ones too."""
        return self.model_dump(include=self.model_fields_set)


class NewRequest(BaseModel):
    """A request. `subject` is needed from an officer; `purpose` for an objection, `changes` to rectify."""

    model_config = config({"kind": "objection", "purpose": "marketing", "words": "No more offers."})

    kind: RequestKind
    subject: Pseudonym | None = None
    words: Words = ""
    purpose: Name | None = None
    changes: Attributes | None = None


class NewStep(BaseModel):
    """A step. `method` is how an identity was checked; `reason` also a review's answer."""

    model_config = config({"step": "verify", "method": "video call"})

    step: RequestAction
    method: Annotated[str, StringConstraints(max_length=200, strip_whitespace=True)] = ""
    reason: Words = ""


class StepTaken(BaseModel):
    """A step that was taken; `at` in Unix seconds."""

    model_config = shown(
        {
            "step": "verify", "state": "verified", "role": "officer", "name": "ada",
            "method": "video call", "reason": "", "at": 1800003600,
        }
    )  # fmt: skip

    step: RequestAction
    state: RequestState
    role: Role
    name: str
    method: str
    reason: str
    at: int


class Request(BaseModel):
    """A request as it stands, times in Unix seconds."""

    model_config = shown(
        {
            "id": "0f" * 16, "subject": SUBJECT, "kind": "objection", "purpose": "marketing",
            "words": "No more offers.", "state": "received", "received_at": 1800000000,
            "due_at": 1802592000, "extended": False, "overdue": False, "entered_role": "subject",
            "entered_by": "app", "steps": [],
        }
    )  # fmt: skip

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
    steps: list[StepTaken] = []


class Erased(BaseModel):
    """An erasure's certificate: a JWS under the registry's key, and the claims in it to read."""

    model_config = shown(
        {
            "id": "0f" * 16, "certificate": "eyJhbGciOi...",
            "claims": {"iss": "shop.example/log", "jti": "0f" * 16, "rows": {"events": 7}, "blanked": {}},
        }
    )  # fmt: skip

    id: str
    certificate: str
    claims: dict[str, Any]


class ErasureStepTaken(BaseModel):
    """A step on the way to an erasure; `at` in Unix seconds. Of the person themselves no name is kept."""

    model_config = shown(
        {
            "step": "verify", "role": "officer", "name": "grace", "method": "video call", "reason": "",
            "at": 1800003600,
        }
    )  # fmt: skip

    step: str
    role: Role
    name: str
    method: str
    reason: str
    at: int


class Trail(BaseModel):
    """Who did what about an erasure, oldest first; `id` stands in the access log for whom it was about."""

    model_config = shown({"id": "0f" * 16, "steps": []})

    id: str
    steps: list[ErasureStepTaken]


class PersonsAttributes(BaseModel):
    """What a registry keeps about a person beside their choices."""

    model_config = shown({"country": "CN", "birth_year": 1999, "guardian": None})

    country: str
    birth_year: int | None
    guardian: str | None


@router.post("/v1/rights", status_code=201, response_model=Request)
async def ask(said: NewRequest, here: Here, caller: Asker, once: OnceOnly) -> Response:
    """Take a request: a person's own, or one that an officer enters for them."""
    return await once.create(caller, _receive, here, _details(said, caller), caller)


@router.get("/v1/rights", response_model=Page[Request], responses=AS_CSV)
async def list_requests(
    here: Here, caller: Lister, cursor: Cursor = None, limit: Limit = 100, overdue: bool = False,
    due_within: Days = None, written_as: Format = "json",
) -> Any:  # fmt: skip
    """List requests by time of receipt: one's own, or everyone's.

    Only late ones with `overdue`, only open ones that are due within so many days and not late with
    `due_within`; with both, either.
    """
    found = await here.store.read(_page, here, caller, cursor, limit, overdue, due_within)
    return paged(found, Request, written_as)


@router.get("/v1/rights/{id_}")
async def read_request(id_: str, here: Here, caller: Watcher, response: Response) -> Request:
    """Return a request with its steps; its ETag is needed for the next one."""
    return tagged(response, await here.store.read(_read, here, id_, caller), *PASSING)


@router.post("/v1/rights/{id_}/steps")
async def take_step(
    id_: str, said: NewStep, here: Here, caller: Handler, response: Response, if_match: IfMatch = None
) -> Request:
    """Take a step: an officer's, or a person's, who may cancel. To fulfil does what was asked for."""
    return tagged(response, await here.store.write(_take, here, id_, said, caller, if_match), *PASSING)


@router.get("/v1/rights/{id_}/export")
async def export(id_: str, here: Here, caller: Handler) -> Response:
    """Return what is held of the person as a zip, where they asked for access or to take it elsewhere."""
    data = await here.store.read(_export, here, id_, caller)
    disposition = {
        "Content-Disposition": f'attachment; filename="covey-{id_}.zip"',
        "Cache-Control": "no-store",
    }
    return Response(data, media_type="application/zip", headers=disposition)


@router.get("/v1/erasures/{id_}")
async def read_certificate(id_: str, here: Here) -> Erased:
    """Return the certificate of the erasure that a request of this id asked for: whoever knows it may ask."""
    return await here.store.read(_certificate, id_)


@router.get("/v1/erasures/{id_}/steps")
async def read_erasure_steps(id_: str, here: Here, _caller: TrailReader) -> Trail:
    """Return who entered, verified and fulfilled an erasure, and when; not whose it was."""
    return await here.store.read(_trail, id_)


@router.get("/v1/subjects/{subject}/attributes")
async def read_attributes(
    subject: Pseudonym, here: Here, _caller: Reader, response: Response
) -> PersonsAttributes:
    """Return what is kept about a person beside their choices; the ETag is needed to put it right."""
    return tagged(response, _attributes(await here.store.read(subjects.find, subject)))


@router.patch("/v1/subjects/{subject}/attributes")
async def rectify(
    subject: Pseudonym, said: Attributes, here: Here, caller: Officer, request: HttpRequest,
    response: Response, if_match: IfMatch = None,
) -> PersonsAttributes:  # fmt: skip
    """Put right what is kept about a person; what it was before is kept."""
    why = reason(request) or ""
    return tagged(response, await here.store.write(_rectify, here, subject, said, caller, why, if_match))


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


def _receive(session: Session, here: Registry, details: RequestDetails, caller: Caller) -> Answer:
    require_own(session, caller, details.subject, here.calendar.year)
    person = subjects.find(session, details.subject)
    received = here.rights.receive(session, details, caller, person.country or None)
    return answer(_request(session, here, received), details.subject)


def _take(
    session: Session, here: Registry, id_: str, said: NewStep, caller: Caller, if_match: str | None
) -> Request:
    require_match(if_match, etag(_read(session, here, id_, caller), *PASSING))
    step = RequestStep(said.step, said.method, said.reason)
    return _request(session, here, here.rights.take_step(session, id_, step, caller))


def _page(
    session: Session,
    here: Registry,
    caller: Caller,
    cursor: str | None,
    limit: int,
    overdue: bool,
    due_within: int | None,
) -> Page[Request]:
    after = here.cursors.moment(LISTING, cursor)
    rows = here.rights.page(session, caller, after, limit + 1, overdue=overdue, due_within=due_within)
    return Page[Request](
        items=[_plain(here, row, []) for row in rows[:limit]],
        next=following(rows, limit, lambda row: here.cursors.after(LISTING, row.received_at, row.id)),
    )


def _read(session: Session, here: Registry, id_: str, caller: Caller) -> Request:
    return _request(session, here, requests.find_request(session, id_, caller, here.calendar.year))


def _export(session: Session, here: Registry, id_: str, caller: Caller) -> bytes:
    request = requests.find_request(session, id_, caller, here.calendar.year)
    if (
        request.kind not in (RequestKind.ACCESS, RequestKind.PORTABILITY)
        or request.state != RequestState.FULFILLED
    ):
        raise ConflictError("there is an export once a request for access or portability is fulfilled")
    return here.rights.exporter.export(session, request.subject)


def _certificate(session: Session, id_: str) -> Erased:
    kept = session.get(Tombstone, id_)
    if kept is None:
        raise UnknownError("no request of this id was fulfilled by an erasure")
    return Erased(id=kept.id, certificate=kept.certificate, claims=claims_of(kept.certificate))


def _trail(session: Session, id_: str) -> Trail:
    query = select(ErasureStep).filter_by(erasure=id_).order_by(ErasureStep.number)
    found = session.scalars(query).all()
    if not found:
        raise UnknownError("no steps are kept of an erasure of this id; they go with the access log's rows")
    return Trail(id=id_, steps=[ErasureStepTaken.model_validate(one, from_attributes=True) for one in found])


def require_own(session: Session, caller: Caller, subject: str, year: int) -> None:
    """Raise DeniedError where a person asks about another than themselves or their ward."""
    if caller.role is not Role.SUBJECT or caller.subject:
        subjects.find(session, subject)
    if caller.role is Role.SUBJECT and not subjects.answers_for(session, caller.subject, subject, year):
        raise DeniedError("a person asks for themselves, or for a child whose guardian they are")


def _rectify(
    session: Session, here: Registry, subject: str, said: Attributes, caller: Caller, why: str,
    if_match: str | None,
) -> PersonsAttributes:  # fmt: skip
    require_match(if_match, etag(_attributes(subjects.find(session, subject))))
    return _attributes(here.rights.effects.rectification.rectify(session, subject, said.named, caller, why))


def _attributes(person: Subject) -> PersonsAttributes:
    return PersonsAttributes.model_validate(person, from_attributes=True)


def _request(session: Session, here: Registry, row: RightsRequest) -> Request:
    return _plain(here, row, [_step(step) for step in requests.steps_of(session, row.id)])


def _plain(here: Registry, row: RightsRequest, steps: list[StepTaken]) -> Request:
    overdue = is_overdue(row, here.calendar.now)
    return Request.model_validate(
        {name: getattr(row, name) for name in Request.model_fields if name not in ("overdue", "steps")}
        | {"overdue": overdue, "steps": steps}
    )


def _step(row: RightsStep) -> StepTaken:
    return StepTaken.model_validate(row, from_attributes=True)
