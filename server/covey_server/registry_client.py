"""The coordinator's side of the registry's HTTP interface."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import httpx

from covey_privacy import wire
from covey_privacy.errors import PeerError
from covey_privacy.evidence import CONTEXT, Evidence
from covey_privacy.registry_messages import Issuer, LogIndex
from covey_privacy.signatures import SigningKey, sign
from covey_privacy.tickets import to_count
from covey_server.errors import RegistryError
from covey_server.round_terms import Population

T = TypeVar("T")

CBOR = {"content-type": "application/cbor"}


class RegistryClient:
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
        return decode_answer(Issuer, self.send("GET", f"/v1/issuers/{epoch}/{'+'.join(purposes)}"))

    def people(self, purposes: tuple[str, ...], epoch: int) -> Population:
        """Return how many devices hold tickets for these purposes in an epoch, and how many allow them."""
        path = f"/v1/epochs/{epoch}/issued"
        headers = self.signed(to_count(purposes, epoch))
        answer = self.send("GET", path, headers=headers, params={"purposes": "+".join(purposes)}).json()
        return Population(int(answer["batches"]), int(answer["granted"]))

    def log_manifest(self, manifest: bytes) -> int:
        """Log a signed manifest; return its index."""
        return decode_answer(LogIndex, self.send("POST", "/v1/rounds", content=manifest)).index

    def log_evidence(self, evidence: Evidence) -> int:
        """Log a round's evidence; return its index."""
        body = sign(CONTEXT, evidence, self._operator)
        path = f"/v1/rounds/{evidence.round_id}/evidence"
        return decode_answer(LogIndex, self.send("POST", path, content=body)).index

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
            raise RegistryError(
                f"the registry refused {method} {path}: {refusal_detail(response)}",
                status=response.status_code,
            )
        return response


def decode_answer(cls: type[T], response: httpx.Response) -> T:
    """Return the message in an answer. Raises RegistryError where there is none."""
    try:
        return wire.decode(cls, response.content)
    except PeerError as error:
        raise RegistryError(f"the registry's answer cannot be read: {error}") from None


def refusal_detail(response: httpx.Response) -> str:
    """Return the reason that an answer gives for a refusal (RFC 9457), else its status."""
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {response.status_code}"
