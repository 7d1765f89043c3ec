"""The routes of the breach register."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import BaseModel
from sqlalchemy.orm import Session

from covey_consent.access.authorization import needs
from covey_consent.access.roles import Caller, Role
from covey_consent.api.http import Here
from covey_consent.api.idempotency import OnceOnly, answer
from covey_consent.api.pages import Cursor, Limit, Page, following
from covey_consent.api.preconditions import IfMatch, etag, require_match, tagged
from covey_consent.api.rights import Officer, Words
from covey_consent.api.schemas import config, shown
from covey_consent.breaches import register
from covey_consent.breaches.breach import (
    Account,
    Breach,
    BreachAction,
    BreachState,
    Scope,
    Seconds,
    missing,
)
from covey_consent.registry import Registry
from covey_consent.storage.idempotency import Answer

router = APIRouter(tags=["breaches"])

LISTING = "breaches"

PASSING = ("overdue", "affected")
"""What changes without a step."""

Watcher = Annotated[Caller, needs(Role.OFFICER, Role.AUDITOR)]


class NewBreach(BaseModel):
    """A breach as it was detected (Unix seconds; now where it is not said)."""

    model_config = config({"detected_at": 1800000000, "scope": {"purposes": ["train"]}, "account": {}})

    detected_at: Seconds | None = None
    scope: Scope = Scope()
    account: Account = Account()


class BreachStep(BaseModel):
    """A step about a breach, with the account as it is known now, and the reason where one is owed."""

    model_config = config({"step": "notify authority", "reason": "in phases"})

    step: BreachAction
    account: Account | None = None
    reason: Words = ""


class StepTaken(BaseModel):
    """A step that was taken about a breach; `at` in Unix seconds."""

    model_config = shown(
        {
            "step": "notify authority", "state": "authority notified", "role": "officer", "name": "ada",
            "reason": "in phases", "at": 1800003600,
        }
    )  # fmt: skip

    step: str
    state: BreachState
    role: Role
    name: str
    reason: str
    at: int


class KnownBreach(BaseModel):
    """A breach as it stands, times in Unix seconds; `affected` is how many people the scope touches now."""

    model_config = shown(
        {
            "id": "0f" * 16, "state": "open", "detected_at": 1800000000, "due_at": 1800259200,
            "overdue": False, "authority_at": None, "people_at": None, "scope": {"purposes": ["train"]},
            "account": {"nature": "a backup was copied"}, "missing": ["people: GDPR 33(3)(a)"],
            "affected": 120, "steps": [],
        }
    )  # fmt: skip

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
    steps: list[StepTaken] = []


@router.post("/v1/breaches", status_code=201, response_model=KnownBreach)
async def open_breach(said: NewBreach, here: Here, caller: Officer, once: OnceOnly) -> Response:
    """Open a breach: the clock for the authority runs from its detection."""
    return await once.create(caller, _open, here, said, caller)


@router.get("/v1/breaches")
async def list_breaches(
    here: Here, _caller: Watcher, cursor: Cursor = None, limit: Limit = 100
) -> Page[KnownBreach]:
    """List breaches by time of detection."""
    return await here.store.read(_page, here, cursor, limit)


@router.get("/v1/breaches/{id_}")
async def read_breach(id_: str, here: Here, _caller: Watcher, response: Response) -> KnownBreach:
    """Return a breach with its steps; its ETag is needed for the next one."""
    return tagged(response, await here.store.read(_read, here, id_), *PASSING)


@router.post("/v1/breaches/{id_}/steps")
async def take_breach_step(
    id_: str, said: BreachStep, here: Here, caller: Officer, response: Response, if_match: IfMatch = None
) -> KnownBreach:
    """Record that the account grew, the authority or people were told, or the breach is closed."""
    return tagged(response, await here.store.write(_take, here, id_, said, caller, if_match), *PASSING)


def _open(session: Session, here: Registry, said: NewBreach, caller: Caller) -> Answer:
    register.count_affected(session, said.scope)
    detected_at = here.calendar.now if said.detected_at is None else said.detected_at
    opened = here.breaches.open(session, detected_at, said.scope, said.account, caller)
    return answer(_full(session, here, opened))


def _take(
    session: Session, here: Registry, id_: str, said: BreachStep, caller: Caller, if_match: str | None
) -> KnownBreach:
    require_match(if_match, etag(_read(session, here, id_), *PASSING))
    breach = here.breaches.take_step(session, id_, said.step, said.account, caller, said.reason)
    return _full(session, here, breach)


def _read(session: Session, here: Registry, id_: str) -> KnownBreach:
    return _full(session, here, register.find_breach(session, id_))


def _page(session: Session, here: Registry, cursor: str | None, limit: int) -> Page[KnownBreach]:
    rows = here.breaches.page(session, here.cursors.moment(LISTING, cursor), limit + 1)
    return Page[KnownBreach](
        items=[KnownBreach(**_plain(session, here, row)) for row in rows[:limit]],
        next=following(rows, limit, lambda row: here.cursors.after(LISTING, row.detected_at, row.id)),
    )


def _full(session: Session, here: Registry, breach: Breach) -> KnownBreach:
    steps = [
        StepTaken.model_validate(step, from_attributes=True) for step in register.steps_of(session, breach.id)
    ]
    return KnownBreach(**_plain(session, here, breach), steps=steps)


def _plain(session: Session, here: Registry, breach: Breach) -> dict[str, Any]:
    account, scope = register.account_of(breach), register.scope_of(breach)
    return {
        "id": breach.id, "state": breach.state, "detected_at": breach.detected_at, "due_at": breach.due_at,
        "overdue": here.breaches.is_overdue(breach), "authority_at": breach.authority_at,
        "people_at": breach.people_at, "scope": scope, "account": account,
        "missing": list(missing(account)), "affected": register.count_affected(session, scope),
    }  # fmt: skip
