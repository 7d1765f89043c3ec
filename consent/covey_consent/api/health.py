"""Whether the registry lives, whether it can serve, and how it does."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from covey_consent.access.guard import needs
from covey_consent.access.roles import Caller, Role
from covey_consent.api.http import Here
from covey_consent.errors import UnavailableError

router = APIRouter(tags=["health"])

DATABASE_SECONDS = 2.0


@router.get("/healthz")
async def health() -> dict[str, str]:
    """Say that the registry is up."""
    return {"status": "ok"}


@router.get("/livez")
async def live() -> dict[str, str]:
    """Say that the process answers. Where it does not, restart it."""
    return {"status": "ok"}


@router.get("/readyz")
async def ready(here: Here) -> dict[str, str | int]:
    """Say that the database answers and the log is open. Where not (503), send requests elsewhere."""
    try:
        await asyncio.wait_for(here.store.read(_answer), DATABASE_SECONDS)
    except (SQLAlchemyError, TimeoutError):
        raise UnavailableError(f"the database did not answer within {DATABASE_SECONDS:.0f} s") from None
    return {"database": "ok", "log_entries": len(here.log)}


@router.get("/metrics")
async def metrics(
    here: Here, _caller: Annotated[Caller, needs(Role.OPERATOR, Role.AUDITOR, Role.ADMIN, logged=False)]
) -> Response:
    """Show the metrics, in Prometheus's format: sums over everyone."""
    return Response(here.metrics.text(), media_type=CONTENT_TYPE_LATEST)


def _answer(session: Session) -> None:
    session.scalar(select(1))
