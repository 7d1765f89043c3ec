"""The desk: what the shop's server and its privacy officer do at the registry, by access token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

from covey_consent.access.roles import Caller, Role
from covey_consent.access.tokens import Tokens
from covey_consent.settings import Settings
from covey_consent.storage import key_file
from covey_simulations.errors import RunError

TOKEN_SECONDS = 300
REASON = {"covey-reason": "the person asked for it"}


class RegistryStaff:
    """A client of the registry at `url` whose tokens are made with the registry's own key."""

    def __init__(self, url: str, settings: Settings, clock: Callable[[], float]) -> None:
        self._tokens = Tokens(key_file.load_or_create(settings.key_file), settings.origin)
        self._clock = clock
        self._client = httpx.Client(base_url=url)

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    def enrol(self, device: bytes) -> str:
        """Make a person known for whom this device speaks; return their pseudonym."""
        subject = str(self._ask(Role.SERVICE, "POST", "/v1/subjects", json={}).json()["subject"])
        self._ask(Role.SERVICE, "PUT", f"/v1/subjects/{subject}/devices/{device.hex()}")
        return subject

    def withdraw(self, subject: str, purpose: str) -> None:
        """Withdraw a purpose at the person's request; it is recorded when this returns."""
        said = {"purpose": purpose, "state": "withdrawn"}
        self._ask(Role.OFFICER, "POST", f"/v1/subjects/{subject}/consents", json=said)

    def verdict(self, subject: str, purpose: str) -> str:
        """Return the registry's verdict on a purpose of the person's."""
        path = f"/v1/subjects/{subject}/decisions/{purpose}"
        return str(self._ask(Role.OFFICER, "GET", path).json()["verdict"])

    def hours_left(self) -> float:
        """Return for how long the tickets of this epoch are still good, on the registry's clock."""
        ends_at = float(self._ask(Role.OFFICER, "GET", "/v1/epoch").json()["ends_at"])
        return (ends_at - self._clock()) / 3600

    def _ask(self, role: Role, method: str, path: str, **more: Any) -> httpx.Response:
        token = self._tokens.mint(Caller(role, "drill"), int(self._clock()), TOKEN_SECONDS)
        headers = {"authorization": f"Bearer {token}", **REASON}
        answer = self._client.request(method, path, headers=headers, **more)
        if answer.is_error:
            raise RunError(f"the registry refused {method} {path}: {answer.text}")
        return answer
