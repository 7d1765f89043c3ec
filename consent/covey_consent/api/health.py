"""Whether the registry lives, whether it can serve, and how it does."""

from __future__ import annotations

import asyncio
import math
from typing import Annotated, Literal

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from covey_consent.access.authorization import needs
from covey_consent.access.roles import Caller, Role
from covey_consent.api.http import Here
from covey_consent.api.schemas import config
from covey_consent.errors import UnavailableError
from covey_consent.recipients.outbox import Undelivered
from covey_consent.registry import Registry

router = APIRouter(tags=["health"])

DATABASE_SECONDS = 2.0

WRITE_SECONDS = 5.0
"""How long the database may take for a commit: longer work of others' may be in front of it."""

HOUR = 3600


class Up(BaseModel):
    """The registry is up."""

    model_config = config({"status": "ok"})

    status: Literal["ok"] = "ok"


class LoopEntry(BaseModel):
    """How a background loop does: `failures` in all, `error` while it fails, seconds since it worked."""

    state: Literal["running", "failing"]
    failures: int
    error: str
    idle_seconds: int


class LettersEntry(BaseModel):
    """How long, in whole hours, the oldest letter waits that a recipient did not take yet.

    Minutes, or how many wait, would show anyone when somebody withdrew: those are in /metrics.
    """

    oldest_hours: int


class ClockEntry(BaseModel):
    """Whether what time makes due is done, or stopped, and why."""

    state: Literal["trusted", "stopped"]
    reason: str


class Ready(BaseModel):
    """The database is read and written, and the log is open with so many entries.

    It is degraded where a background loop fails or the clock is not trusted, which stand under their names.
    """

    model_config = config(
        {
            "status": "ready",
            "database": "ok",
            "log_entries": 41,
            "loops": {
                "deliveries": {"state": "running", "failures": 0, "error": "", "idle_seconds": 0},
            },
            "letters": {"oldest_hours": 0},
            "clock": {"state": "trusted", "reason": ""},
        }
    )

    status: Literal["ready", "degraded"]
    database: Literal["ok"] = "ok"
    log_entries: int
    loops: dict[str, LoopEntry]
    letters: LettersEntry
    clock: ClockEntry


@router.get("/healthz")
async def health() -> Up:
    """Say that the registry is up."""
    return Up()


@router.get("/livez")
async def live() -> Up:
    """Say that the process answers. Where it does not, restart it."""
    return Up()


@router.get("/readyz")
async def ready(here: Here) -> Ready:
    """Say that the database can be written and the log is open. Where not (503), send requests elsewhere.

    So it is where deliveries to recipients, or publishing what is promised, have stood for five minutes.
    """
    try:
        letters = await asyncio.wait_for(here.store.read(_answer, here), DATABASE_SECONDS)
    except (SQLAlchemyError, TimeoutError):
        raise UnavailableError(f"the database did not answer within {DATABASE_SECONDS:.0f} s") from None
    await here.write_check.require(WRITE_SECONDS)
    if stalled := here.supervisor.stalled():
        raise UnavailableError(
            f"background work stands still ({', '.join(stalled)}); the registry's own log says why"
        )
    return _ready(here, letters)


@router.get("/metrics")
async def metrics(
    here: Here, _caller: Annotated[Caller, needs(Role.OPERATOR, Role.AUDITOR, Role.ADMIN, logged=False)]
) -> Response:
    """Show the metrics, in Prometheus's format: sums over everyone."""
    try:
        here.metrics.overdue(*await asyncio.wait_for(here.store.read(_overdue, here), DATABASE_SECONDS))
        letters = await asyncio.wait_for(here.store.read(here.outbox.undelivered), DATABASE_SECONDS)
        here.metrics.undelivered(*letters)
    except (UnavailableError, TimeoutError):
        here.metrics.overdue(math.nan, math.nan)
        here.metrics.undelivered(math.nan, math.nan, math.nan)
    return Response(here.metrics.text(), media_type=CONTENT_TYPE_LATEST)


def _overdue(session: Session, here: Registry) -> tuple[int, int]:
    return here.rights.count_overdue(session), here.breaches.count_overdue(session)


def _answer(session: Session, here: Registry) -> Undelivered:
    return here.outbox.undelivered(session)


def _ready(here: Registry, letters: Undelivered) -> Ready:
    loops = {
        name: LoopEntry(
            state=state.state,
            failures=state.failures,
            error=state.error,
            idle_seconds=int(state.idle_seconds),
        )
        for name, state in here.supervisor.states().items()
    }
    reason = here.clock_monitor.reason
    fails = reason or any(loop.state == "failing" for loop in loops.values())
    return Ready(
        status="degraded" if fails else "ready",
        log_entries=len(here.log),
        loops=loops,
        letters=LettersEntry(oldest_hours=letters.oldest_seconds // HOUR),
        clock=ClockEntry(state="stopped" if reason else "trusted", reason=reason),
    )
