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
from covey_privacy.secagg.roster import ROUND_ROSTER, Countersigned, Logged, Roster
from covey_privacy.signatures import SigningKey, sign, to_sign
from covey_server.errors import RegistryError

T = TypeVar("T")

CBOR = {"content-type": "application/cbor"}


class Registry:
    """A client for one registry; requests that change something are signed with the operator's key."""

    def __init__(self, client: httpx.Client, operator: SigningKey) -> None:
        self._client, self._operator = client, operator

    def epoch(self) -> int:
        """Return the current epoch."""
        return int(self._json("/v1/epoch")["epoch"])

    def issuer(self, purposes: tuple[str, ...], epoch: int) -> Issuer:
        """Return the issuer key of a purpose set and epoch."""
        return _read(Issuer, self._send("GET", f"/v1/issuers/{epoch}/{'+'.join(purposes)}"))

    def granted(self, purposes: tuple[str, ...], epoch: int) -> int:
        """Return how many devices allow these purposes now."""
        return int(self._json(f"/v1/epochs/{epoch}/issued", purposes="+".join(purposes))["granted"])

    def log_manifest(self, manifest: bytes) -> int:
        """Log a signed manifest; return its index."""
        return _read(Logged, self._send("POST", "/v1/rounds", content=manifest)).index

    def countersign(self, roster: Roster) -> Countersigned:
        """Have a roster checked and countersigned."""
        body = wire.encode(roster)
        digest = hashlib.sha256(body).digest()
        signature = self._operator.sign(to_sign(ROUND_ROSTER, digest)).hex()
        path = f"/v1/rounds/{roster.round_id}/roster"
        headers = {"covey-signature": signature}
        return _read(Countersigned, self._send("POST", path, content=body, headers=headers))

    def log_evidence(self, evidence: Evidence) -> int:
        """Log a round's evidence; return its index."""
        body = sign(CONTEXT, evidence, self._operator)
        path = f"/v1/rounds/{evidence.round_id}/evidence"
        return _read(Logged, self._send("POST", path, content=body)).index

    def _json(self, path: str, **query: str) -> Any:
        return self._send("GET", path, params=query).json()

    def _send(self, method: str, path: str, headers: Mapping[str, str] = CBOR, **more: Any) -> httpx.Response:
        try:
            response = self._client.request(method, path, headers=CBOR | dict(headers), **more)
        except httpx.HTTPError as error:
            raise RegistryError(f"the registry cannot be reached; no round runs: {error}") from None
        if response.is_error:
            raise RegistryError(f"the registry refused {method} {path}: {_detail(response)}")
        return response


def _read(cls: type[T], response: httpx.Response) -> T:
    try:
        return wire.decode(cls, response.content)
    except PeerError as error:
        raise RegistryError(f"the registry's answer cannot be read: {error}") from None


def _detail(response: httpx.Response) -> str:
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {response.status_code}"
