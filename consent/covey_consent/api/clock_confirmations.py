"""The clock's route: an administrator confirms the time, after which what time makes due is done again."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from covey_consent.access.authorization import needs
from covey_consent.access.roles import Caller, Role
from covey_consent.api.http import Here
from covey_consent.api.schemas import config

router = APIRouter(tags=["clock"])


class StatedTime(BaseModel):
    """The time now (Unix seconds), by another clock than that of the registry's machine."""

    model_config = config({"now": 1800000000})

    now: Annotated[int, Field(ge=0, le=2**40)]


@router.post("/v1/clock/confirmations", status_code=204)
async def confirm_clock(said: StatedTime, here: Here, _caller: Annotated[Caller, needs(Role.ADMIN)]) -> None:
    """Confirm the registry's clock after a jump; refused where it differs from the time that is stated."""
    await here.store.write(here.clock_monitor.confirm, said.now)
