"""Routes for the operator: liveness, readiness, metrics, and the confirmation of the clock."""

from __future__ import annotations

import asyncio
import math
from typing import Annotated, Literal

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, Field
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from covey_consent.access.roles import Caller, Role
from covey_consent.api.authorization import needs
from covey_consent.api.http import RegistryDep
from covey_consent.api.schemas import ClosedModel
from covey_consent.errors import UnavailableError
from covey_consent.registry import Registry

router = APIRouter()

DATABASE_SECONDS = 2.0

WRITE_SECONDS = 5.0
"""How long the database may take for a commit, which may have to wait for longer work."""

HOUR = 3600


class Up(ClosedModel):
    """The registry is up."""

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


class Ready(ClosedModel):
    """The database is read and written, and the log is open with so many entries.

    It is degraded where a background loop fails or the clock is not trusted, which stand under their names.
    """

    status: Literal["ready", "degraded"]
    database: Literal["ok"] = "ok"
    log_entries: int
    loops: dict[str, LoopEntry]
    letters: LettersEntry
    clock: ClockEntry


class StatedTime(ClosedModel):
    """The time now (Unix seconds), by another clock than that of the registry's machine."""

    now: Annotated[int, Field(ge=0, le=2**40)]


@router.get("/healthz", tags=["health"])
async def health() -> Up:
    """Say that the registry is up."""
    return Up()


@router.get("/livez", tags=["health"])
async def live() -> Up:
    """Say that the process answers. Where it does not, restart it."""
    return Up()


@router.get("/readyz", tags=["health"])
async def ready(registry: RegistryDep) -> Ready:
    """Say that the database can be written and the log is open. Where not (503), send requests elsewhere.

    So it is where deliveries to recipients, or publishing what is promised, have stood for five minutes.
    """
    try:
        letters = await asyncio.wait_for(registry.store.read(registry.outbox.undelivered), DATABASE_SECONDS)
    except (SQLAlchemyError, TimeoutError):
        raise UnavailableError(f"the database did not answer within {DATABASE_SECONDS:.0f} s") from None
    await registry.write_check.require(WRITE_SECONDS)
    if stalled := registry.supervisor.stalled():
        raise UnavailableError(
            f"background work stands still ({', '.join(stalled)}); the registry's own log says why"
        )
    loops = {
        name: LoopEntry(
            state=state.state,
            failures=state.failures,
            error=state.error,
            idle_seconds=int(state.idle_seconds),
        )
        for name, state in registry.supervisor.states().items()
    }
    reason = registry.clock_monitor.reason
    fails = reason or any(loop.state == "failing" for loop in loops.values())
    return Ready(
        status="degraded" if fails else "ready",
        log_entries=len(registry.log),
        loops=loops,
        letters=LettersEntry(oldest_hours=letters.oldest_seconds // HOUR),
        clock=ClockEntry(state="stopped" if reason else "trusted", reason=reason),
    )


@router.get("/metrics", tags=["health"])
async def metrics(
    registry: RegistryDep,
    _caller: Annotated[Caller, needs(Role.OPERATOR, Role.AUDITOR, Role.ADMIN, logged=False)],
) -> Response:
    """Show the metrics, in Prometheus's format: sums over everyone."""
    try:
        registry.metrics.overdue(
            *await asyncio.wait_for(registry.store.read(_overdue, registry), DATABASE_SECONDS)
        )
        letters = await asyncio.wait_for(registry.store.read(registry.outbox.undelivered), DATABASE_SECONDS)
        registry.metrics.undelivered(*letters)
    except (UnavailableError, TimeoutError):
        registry.metrics.overdue(math.nan, math.nan)
        registry.metrics.undelivered(math.nan, math.nan, math.nan)
    return Response(registry.metrics.text(), media_type=CONTENT_TYPE_LATEST)


@router.post("/v1/clock/confirmations", status_code=204, tags=["clock"])
async def confirm_clock(
    said: StatedTime, registry: RegistryDep, _caller: Annotated[Caller, needs(Role.ADMIN)]
) -> None:
    """Confirm the registry's clock after a jump; refused where it differs from the time that is stated."""
    await registry.store.write(registry.clock_monitor.confirm, said.now)


def _overdue(session: Session, registry: Registry) -> tuple[int, int]:
    return registry.rights.count_overdue(session), registry.breaches.count_overdue(session)
