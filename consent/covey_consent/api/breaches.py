"""Routes for breaches of personal data: their detection, steps and account (GDPR Art. 33)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict
from sqlalchemy.orm import Session

from covey_consent.access.idempotency import Answer
from covey_consent.access.roles import Caller, Role
from covey_consent.api.authorization import needs
from covey_consent.api.http import RegistryDep
from covey_consent.api.pages import Page, Paging
from covey_consent.api.request_headers import IfMatch, OnceOnly, answer, etag, require_match, tagged
from covey_consent.api.schemas import ClosedModel, Words
from covey_consent.api.subjects import Officer
from covey_consent.breaches import register
from covey_consent.breaches.breach import Account, Breach, BreachAction, BreachState, Scope, Seconds, missing
from covey_consent.registry import Registry

router = APIRouter(prefix="/v1/breaches", tags=["breaches"])

LISTING = "breaches"

PASSING = ("overdue", "affected")
"""Fields that change without a step, and not with the ETag."""

Watcher = Annotated[Caller, needs(Role.OFFICER, Role.AUDITOR)]


class NewBreach(ClosedModel):
    """A breach as it was detected (Unix seconds; now where it is not said)."""

    detected_at: Seconds | None = None
    scope: Scope = Scope()
    account: Account = Account()


class NewBreachStep(ClosedModel):
    """A step about a breach, with the account as it is known now, and the reason where one is owed."""

    step: BreachAction
    account: Account | None = None
    reason: Words = ""


class BreachStepTaken(BaseModel):
    """A step that was taken about a breach; `at` in Unix seconds."""

    model_config = ConfigDict(from_attributes=True)

    step: str
    state: BreachState
    role: Role
    name: str
    reason: str
    at: int


class KnownBreach(BaseModel):
    """A breach as it stands, times in Unix seconds; `affected` is how many people the scope touches now."""

    id: str
    state: BreachState
    detected_at: int
    due_at: int
    overdue: bool
    authority_at: int | None
    people_at: int | None
    scope: Scope
    account: Account
    missing: list[str]
    affected: int
    steps: list[BreachStepTaken] = []


@router.post("", status_code=201, response_model=KnownBreach)
async def open_breach(said: NewBreach, registry: RegistryDep, caller: Officer, once: OnceOnly) -> Response:
    """Open a breach: the clock for the authority runs from its detection."""

    def work(session: Session) -> Answer:
        register.count_affected(session, said.scope)
        detected_at = registry.calendar.now if said.detected_at is None else said.detected_at
        opened = registry.breaches.open(session, detected_at, said.scope, said.account, caller)
        return answer(_describe(session, registry, opened))

    return await once.create(caller, work)


@router.get("")
async def list_breaches(registry: RegistryDep, _caller: Watcher, page: Paging) -> Page[KnownBreach]:
    """List breaches by time of detection."""

    def read(session: Session) -> Page[KnownBreach]:
        rows = registry.breaches.page(session, page.moment(LISTING), page.limit + 1)
        return Page[KnownBreach](
            items=[_describe(session, registry, row, with_steps=False) for row in rows[: page.limit]],
            next=page.following(LISTING, rows, lambda row: (row.detected_at, row.id)),
        )

    return await registry.store.read(read)


@router.get("/{id_}")
async def read_breach(id_: str, registry: RegistryDep, _caller: Watcher, response: Response) -> KnownBreach:
    """Return a breach with its steps; its ETag is needed for the next one."""
    return tagged(response, await registry.store.read(_read, registry, id_), *PASSING)


@router.post("/{id_}/steps")
async def take_breach_step(
    id_: str,
    said: NewBreachStep,
    registry: RegistryDep,
    caller: Officer,
    response: Response,
    if_match: IfMatch = None,
) -> KnownBreach:
    """Record that the account grew, the authority or people were told, or the breach is closed."""

    def take(session: Session) -> KnownBreach:
        require_match(if_match, etag(_read(session, registry, id_), *PASSING))
        breach = registry.breaches.take_step(session, id_, said.step, said.account, caller, said.reason)
        return _describe(session, registry, breach)

    return tagged(response, await registry.store.write(take), *PASSING)


def _read(session: Session, registry: Registry, id_: str) -> KnownBreach:
    return _describe(session, registry, register.find_breach(session, id_))


def _describe(
    session: Session, registry: Registry, breach: Breach, *, with_steps: bool = True
) -> KnownBreach:
    account, scope = register.account_of(breach), register.scope_of(breach)
    steps = register.steps_of(session, breach.id) if with_steps else ()
    same = ("id", "state", "detected_at", "due_at", "authority_at", "people_at")
    return KnownBreach(
        **{name: getattr(breach, name) for name in same},
        overdue=registry.breaches.is_overdue(breach),
        scope=scope,
        account=account,
        missing=list(missing(account)),
        affected=register.count_affected(session, scope),
        steps=[BreachStepTaken.model_validate(step) for step in steps],
    )
