"""An identity provider's keys: a JWK set (RFC 7517) at an address or in a file, fetched when needed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
from joserfc import jwk
from joserfc.errors import JoseError
from joserfc.jwk import Key

from covey_consent.errors import TokenError, UnavailableError

SET_BYTES = 2**18
FETCH_SECONDS = 5.0
KEEP_SECONDS = 3600
"""After how long the set is fetched anew, so that a key that was withdrawn is forgotten."""
RSA_CHARACTERS = 342
"""Of a modulus of 2,048 bits, in base64: shorter ones are taken for no keys."""


class KeySet:
    """A provider's keys; an unknown key has the set fetched again, at most every `every` seconds."""

    def __init__(self, where: str, every: int) -> None:
        self._where, self._every = where, every
        self._keys: Mapping[str | None, Key] = {}
        self._fetched_at: int | None = None
        self._next_fetch = 0
        self._one_at_a_time = asyncio.Lock()

    async def find(self, kid: str | None, now: int) -> Key:
        """Return the key; `now` in Unix seconds. Raises TokenError, and UnavailableError without a set."""
        async with self._one_at_a_time:
            if (self._stale(now) or kid not in self._keys) and now >= self._next_fetch:
                self._next_fetch = now + self._every
                with suppress(httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, RecursionError):
                    self._keys, self._fetched_at = parse(await self._fetch()), now
        if self._stale(now):
            raise UnavailableError("the identity provider's keys could not be fetched; try again")
        if kid not in self._keys:
            raise TokenError("the access token is signed by a key that its issuer does not publish")
        return self._keys[kid]

    def _stale(self, now: int) -> bool:
        return self._fetched_at is None or now - self._fetched_at > KEEP_SECONDS

    async def _fetch(self) -> bytes:
        if not self._where.startswith(("https://", "http://")):
            return await asyncio.to_thread(_read, Path(self._where))
        async with (
            asyncio.timeout(FETCH_SECONDS),
            httpx.AsyncClient(timeout=FETCH_SECONDS, headers={"Accept-Encoding": "identity"}) as client,
            client.stream("GET", self._where) as response,
        ):
            response.raise_for_status()
            received = bytearray()
            async for chunk in response.aiter_raw():
                received += chunk
                if len(received) > SET_BYTES:
                    break
            return bytes(received)


def parse(data: bytes) -> dict[str | None, Key]:
    """Return a JWK set's public signing keys by id, a single one also under None. Raises ValueError."""
    if len(data) > SET_BYTES:
        raise ValueError(f"the JWK set is longer than {SET_BYTES} bytes")
    whole = json.loads(data)
    listed = whole.get("keys") if isinstance(whole, dict) else None
    if not isinstance(listed, list):
        raise ValueError("no JWK set: it has no list of keys")  # noqa: TRY004
    keys = {entry["kid"]: key for entry in listed if (key := _public(entry)) is not None}
    return {None: next(iter(keys.values())), **keys} if len(keys) == 1 else keys


def _public(entry: Any) -> Key | None:
    """Return the entry's key where it can verify tokens; other entries of the set are skipped."""
    if not isinstance(entry, dict) or not isinstance(entry.setdefault("kid", ""), str):
        return None
    if entry.get("kty") not in ("OKP", "EC", "RSA") or entry.get("use", "sig") != "sig" or "d" in entry:
        return None
    if entry["kty"] == "RSA" and len(str(entry.get("n"))) < RSA_CHARACTERS:
        return None
    try:
        key = jwk.import_key(entry)
        _ = key.public_key  # It is made, and checked, when it is asked for.
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return key


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(SET_BYTES + 1)
