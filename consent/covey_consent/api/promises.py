"""Where a promised consent event stands, for whoever holds its commitment."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict

from covey_consent.api.http import Here
from covey_consent.transparency import promises

router = APIRouter(prefix="/v1/log/promises", tags=["log"])

Commitment = Annotated[str, Path(pattern="^[0-9a-f]{64}$")]

_EXAMPLE: dict[str, Any] = {"state": "promised", "index": None, "publish_by": 1_800_003_960_000}


class PromiseStanding(BaseModel):
    """`index` is the event's place in the log once published; `publish_by` (Unix ms) is set until then."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    state: Literal["promised", "published"]
    index: int | None
    publish_by: int | None


@router.get("/{commitment}")
async def promise_standing(commitment: Commitment, here: Here) -> PromiseStanding:
    """Say whether the event with this commitment is in the log yet; 404 where it was never promised."""
    found = await promises.find(bytes.fromhex(commitment), here.log, here.store, here.calendar)
    return PromiseStanding(**asdict(found))
