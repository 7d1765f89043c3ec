"""Device tokens: an enrolled device proves its key and gets a short access token bound to it (RFC 9449)."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict

from covey_consent.access.roles import Caller, Role
from covey_consent.access.tokens import DEVICE_SECONDS
from covey_consent.api.http import Here
from covey_consent.decisions import subjects

router = APIRouter(tags=["access"])


class DeviceToken(BaseModel):
    """An access token, and for how many seconds it holds (RFC 6749, section 5.1)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"access_token": "eyJhbGciOi...", "token_type": "DPoP", "expires_in": DEVICE_SECONDS}
            ]
        }
    )

    access_token: str
    token_type: Literal["DPoP"] = "DPoP"  # noqa: S105  the name of a scheme
    expires_in: int = DEVICE_SECONDS


@router.post("/v1/device-tokens")
async def issue_device_token(request: Request, here: Here) -> DeviceToken:
    """Answer a DPoP proof by an enrolled device's key with a token for its person, bound to the key."""
    now = here.calendar.now
    proof = here.gate.proof(request, now)
    device = proof.device
    people = await here.store.read(subjects.people_of_devices, {device})
    caller = Caller(Role.SUBJECT, "device", people[device], device)
    return DeviceToken(access_token=here.tokens.mint(caller, now, DEVICE_SECONDS, proof.thumbprint))
