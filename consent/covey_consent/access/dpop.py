"""DPoP (RFC 9449): proofs, each for one request, that the caller holds the key of their access token."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

from joserfc import jwk, jws
from joserfc.errors import JoseError
from joserfc.jwk import Key, OKPKey
from joserfc.util import urlsafe_b64encode
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from covey_consent.access.jose import Allowed, extract
from covey_consent.errors import ProofError, UnavailableError

LONGEST = 4096
"""Characters of a proof that is looked at."""

REMEMBERED = 200_000
"""Proofs remembered at once, in about 40 MB."""

_PORTS = {"http": 80, "https": 443}

_RULES = Allowed("ES256", "Ed25519", "EdDSA")
"""What a device may sign proofs with: what telephones' key stores hold."""


class Claims(BaseModel):
    """The claims of a proof (RFC 9449, section 4.2); others are ignored."""

    model_config = ConfigDict(frozen=True, strict=True)

    jti: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    htm: Annotated[str, StringConstraints(max_length=16)]
    htu: Annotated[str, StringConstraints(max_length=2048)]
    iat: Annotated[int | float, Field(ge=0, le=2**53, allow_inf_nan=False)]
    ath: Annotated[str, StringConstraints(max_length=64)] | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof whose signature holds."""

    key: Key
    claims: Claims

    @property
    def thumbprint(self) -> str:
        """The key's thumbprint (RFC 7638)."""
        return self.key.thumbprint()

    @property
    def device(self) -> bytes:
        """The raw Ed25519 key. Raises ProofError where it is of another kind."""
        if not isinstance(self.key, OKPKey):
            raise ProofError("this proof is not by a device's Ed25519 key, under which devices are enrolled")
        return self.key.public_key.public_bytes_raw()


class ReplayCache:
    """The proofs used in the last `seconds`; when full, new proofs are refused and none is forgotten."""

    def __init__(self, seconds: int, limit: int = REMEMBERED) -> None:
        self._seconds, self._limit = seconds, limit
        self._taken_at: OrderedDict[bytes, int] = OrderedDict()

    def take(self, thumbprint: str, jti: str, now: int) -> None:
        """Keep a proof by its key and id; `now` in Unix seconds. Raises ProofError the second time."""
        while self._taken_at:
            oldest = next(iter(self._taken_at))
            if now - self._taken_at[oldest] <= self._seconds:
                break
            del self._taken_at[oldest]
        proof = hashlib.sha256(f"{thumbprint} {jti}".encode()).digest()
        if proof in self._taken_at:
            raise ProofError("the DPoP proof was used before; make one for each request")
        if len(self._taken_at) >= self._limit:
            raise UnavailableError(f"{self._limit} DPoP proofs came in {self._seconds} s; try again later")
        self._taken_at[proof] = now


class Proofs:
    """Checks proofs made `since` (Unix seconds) by clocks within `tolerance` seconds.

    Earlier proofs may have been used before this process started.
    """

    def __init__(self, tolerance: int, since: int) -> None:
        self._tolerance, self._since = tolerance, since
        self._replays = ReplayCache(2 * tolerance)

    def check(self, text: str, method: str, url: str, now: int, token: str | None = None) -> Proof:
        """Return the proof for this request, and for the token if one comes with it. Raises ProofError."""
        proof = parse_proof(text)
        claims = proof.claims
        if claims.htm != method or not same_address(claims.htu, url):
            raise ProofError(f"the DPoP proof is for another request than {method} {urlsplit(url).path}")
        if abs(claims.iat - now) > self._tolerance:
            raise ProofError(f"the DPoP proof is dated {claims.iat - now:+.0f} s from now; set the clock")
        if claims.iat < self._since:
            raise ProofError("the DPoP proof was made before the registry last started; make a new one")
        if token is not None and claims.ath != token_hash(token):
            raise ProofError("the DPoP proof's ath is not the hash of this access token")
        self._replays.take(proof.thumbprint, claims.jti, now)
        return proof


def parse_proof(text: str) -> Proof:
    """Return a proof signed by the key in its own header. Raises ProofError."""
    if len(text) > LONGEST:
        raise ProofError(f"the DPoP proof is longer than {LONGEST} characters")
    try:
        held, header = extract(text)
        key = _key(header)
        if not jws.validate_compact(held, key, registry=_RULES):
            raise ProofError("the DPoP proof is not signed by the key in its header")
        return Proof(key, Claims.model_validate(json.loads(held.payload)))
    except ValidationError as error:
        first = error.errors()[0]
        raise ProofError(f"the DPoP proof's {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise ProofError(f"the DPoP proof cannot be read: {error}") from None


def token_hash(token: str) -> str:
    """Return `ath`: the access token's SHA-256."""
    return urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).decode()


def same_address(one: str, other: str) -> bool:
    """Say whether two addresses are the same but for query and fragment (RFC 9449, section 4.3)."""
    return _address(one) == _address(other)


def _address(url: str) -> tuple[str, str | None, int | None, str] | None:
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    return parts.scheme, parts.hostname, port, unquote(parts.path) or "/"


def _key(header: dict[str, Any]) -> Key:
    """Return the public key in a proof's header. Raises ProofError where it is no header of a proof."""
    if header.get("typ") != "dpop+jwt":
        raise ProofError("the DPoP proof's typ is not dpop+jwt")
    said = header["jwk"]
    if said["kty"] not in ("OKP", "EC") or "d" in said:
        raise ProofError("the DPoP proof's jwk is not a public Ed25519 or P-256 key alone")
    return jwk.import_key(said)
