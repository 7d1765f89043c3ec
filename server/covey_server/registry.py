"""The coordinator's side of the registry's HTTP interface."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, TypeVar

import httpx

from covey_privacy import wire
from covey_privacy.consent import Issuer
from covey_privacy.errors import PeerError
from covey_privacy.evidence import CONTEXT, Evidence
from covey_privacy.five_phases.roster import ROUND_ROSTER, Countersigned, Logged, Roster
from covey_privacy.signatures import SigningKey, sign, to_sign
from covey_privacy.tickets import to_count
from covey_server.errors import RegistryError

T = TypeVar("T")

CBOR = {"content-type": "application/cbor"}


class Registry:
    """A client for one registry; what only the operator may ask is signed with their key."""

    def __init__(self, client: httpx.Client, operator: SigningKey) -> None:
        self._client, self._operator = client, operator

    def epoch(self) -> int:
        """Return the current epoch. Raises RegistryError while phones still fetch its tickets."""
        now = self.send("GET", "/v1/epoch").json()
        if now.get("fetching"):
            raise RegistryError(
                f"phones still fetch their tickets of epoch {now['epoch']}; no round begins before that "
                f"window has closed, at Unix time {now.get('fetch_until')}"
            )
        return int(now["epoch"])

    def issuer(self, purposes: tuple[str, ...], epoch: int) -> Issuer:
        """Return the issuer keys of a purpose set and epoch."""
        return read(Issuer, self.send("GET", f"/v1/issuers/{epoch}/{'+'.join(purposes)}"))

    def granted(self, purposes: tuple[str, ...], epoch: int) -> int:
        """Return how many devices allow these purposes now."""
        path = f"/v1/epochs/{epoch}/issued"
        headers = self.signed(to_count(purposes, epoch))
        answer = self.send("GET", path, headers=headers, params={"purposes": "+".join(purposes)})
        return int(answer.json()["granted"])

    def log_manifest(self, manifest: bytes) -> int:
        """Log a signed manifest; return its index."""
        return read(Logged, self.send("POST", "/v1/rounds", content=manifest)).index

    def countersign(self, roster: Roster) -> Countersigned:
        """Have a roster checked and countersigned."""
        body = wire.encode(roster)
        path = f"/v1/rounds/{roster.round_id}/roster"
        headers = self.signed(to_sign(ROUND_ROSTER, hashlib.sha256(body).digest()))
        return read(Countersigned, self.send("POST", path, content=body, headers=headers))

    def log_evidence(self, evidence: Evidence) -> int:
        """Log a round's evidence; return its index."""
        body = sign(CONTEXT, evidence, self._operator)
        path = f"/v1/rounds/{evidence.round_id}/evidence"
        return read(Logged, self.send("POST", path, content=body)).index

    def signed(self, message: bytes) -> dict[str, str]:
        """Return the header that carries the operator's signature over a message."""
        return {"covey-signature": self._operator.sign(message).hex()}

    def send(self, method: str, path: str, headers: Mapping[str, str] = CBOR, **more: Any) -> httpx.Response:
        """Return the registry's answer. Raises RegistryError where it refuses, or cannot be reached."""
        try:
            response = self._client.request(method, path, headers=CBOR | dict(headers), **more)
        except httpx.HTTPError as error:
            raise RegistryError(f"the registry cannot be reached; no round runs: {error}") from None
        if response.is_error:
            raise RegistryError(f"the registry refused {method} {path}: {_detail(response)}")
        return response


def read(cls: type[T], response: httpx.Response) -> T:
    """Return the message in an answer. Raises RegistryError where there is none."""
    try:
        return wire.decode(cls, response.content)
    except PeerError as error:
        raise RegistryError(f"the registry's answer cannot be read: {error}") from None


def _detail(response: httpx.Response) -> str:
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {response.status_code}"
