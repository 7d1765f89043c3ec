"""Whether the registry lives, whether it can serve, and how it does."""

from __future__ import annotations

import asyncio
import math
from typing import Annotated, Literal

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from covey_consent.access.guard import needs
from covey_consent.access.roles import Caller, Role
from covey_consent.api.http import Here
from covey_consent.api.schemas import config
from covey_consent.errors import UnavailableError
from covey_consent.registry import Registry

router = APIRouter(tags=["health"])

DATABASE_SECONDS = 2.0


class Up(BaseModel):
    """The registry is up."""

    model_config = config({"status": "ok"})

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """The database answers, and the log is open with so many entries."""

    model_config = config({"database": "ok", "log_entries": 41})

    database: Literal["ok"] = "ok"
    log_entries: int


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
    """Say that the database answers and the log is open. Where not (503), send requests elsewhere."""
    try:
        await asyncio.wait_for(here.store.read(_answer), DATABASE_SECONDS)
    except (SQLAlchemyError, TimeoutError):
        raise UnavailableError(f"the database did not answer within {DATABASE_SECONDS:.0f} s") from None
    return Ready(log_entries=len(here.log))


@router.get("/metrics")
async def metrics(
    here: Here, _caller: Annotated[Caller, needs(Role.OPERATOR, Role.AUDITOR, Role.ADMIN, logged=False)]
) -> Response:
    """Show the metrics, in Prometheus's format: sums over everyone."""
    try:
        here.metrics.overdue(*await asyncio.wait_for(here.store.read(_overdue, here), DATABASE_SECONDS))
    except (UnavailableError, TimeoutError):
        here.metrics.overdue(math.nan, math.nan)
    return Response(here.metrics.text(), media_type=CONTENT_TYPE_LATEST)


def _overdue(session: Session, here: Registry) -> tuple[int, int]:
    return here.rights.desk.overdue(session), here.breaches.overdue(session)


def _answer(session: Session) -> None:
    session.scalar(select(1))
