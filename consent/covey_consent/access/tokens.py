"""Access tokens: JWTs (RFC 7519) under the registry's own Ed25519 key."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from joserfc import jwt
from joserfc.jwk import OKPKey
from joserfc.jwt import ClaimsOption
from joserfc.util import urlsafe_b64encode

from covey_consent.access.jose import Allowed, extract, read_claims
from covey_consent.access.roles import Caller, Role
from covey_consent.errors import TokenError
from covey_consent.storage import key_file
from covey_privacy.signatures import SigningKey

ALGORITHM = "Ed25519"

_RULES = Allowed(ALGORITHM)

DEVICE_SECONDS = 600
"""For how long a device's token is good."""

MOST_SECONDS = 86_400
"""For how long a token is good at most, from when it was issued, where no setting says otherwise."""

LONGEST = 8192
"""Characters of a token at most."""


@dataclass(frozen=True, slots=True)
class Token:
    """A verified token: its caller, when it expires (Unix seconds), and the key that it is bound to.

    `thumbprint` is `cnf.jkt` (RFC 9449): None for a bearer token. `id` is `jti`, by which it can be revoked.
    """

    caller: Caller
    expires_at: int
    thumbprint: str | None = None
    id: str = ""
    issued_at: int = 0


def jwk(key: SigningKey) -> OKPKey:
    """Return the key pair as a JSON Web Key (RFC 8037)."""
    public, secret = (urlsafe_b64encode(half).decode() for half in (key.public, key.secret))
    return OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": public, "d": secret})


def public_key_jwk(public: bytes) -> OKPKey:
    """Return a public key (32 bytes) as a JSON Web Key (RFC 8037)."""
    return OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": urlsafe_b64encode(public).decode()})


class Tokens:
    """Issues and verifies the tokens of one registry, which is their issuer and their audience.

    None is good for longer than `most_seconds`, whatever it says.
    """

    def __init__(self, key: SigningKey, origin: str, most_seconds: int = MOST_SECONDS) -> None:
        self._key = jwk(SigningKey(key_file.derive(key, "access tokens")))
        self._origin, self._most = origin, most_seconds
        self.kid = self._key.thumbprint()

    @property
    def public(self) -> Mapping[str, Any]:
        """The JWK by which others verify these tokens."""
        return {**self._key.as_dict(private=False), "kid": self.kid, "alg": ALGORITHM, "use": "sig"}

    def mint(self, caller: Caller, now: int, seconds: int, thumbprint: str | None = None) -> str:
        """Return a token for the caller that is good for `seconds` from `now` (Unix seconds)."""
        claims: dict[str, Any] = {"iss": self._origin, "aud": self._origin, "sub": caller.name}
        claims |= {"role": caller.role.value, "iat": now, "exp": now + seconds}
        claims["jti"] = secrets.token_hex(16)
        if caller.subject is not None:
            claims["subject"] = caller.subject
        if caller.device is not None:
            claims["device"] = caller.device.hex()
        if thumbprint is not None:
            claims["cnf"] = {"jkt": thumbprint}
        return jwt.encode({"alg": ALGORITHM, "kid": self.kid}, claims, self._key, [ALGORITHM])

    def open(self, text: str, now: int) -> Token:
        """Verify a token of this registry. Raises TokenError."""
        here: ClaimsOption = {"essential": True, "value": self._origin}
        roles: ClaimsOption = {"essential": True, "values": [role.value for role in Role]}
        there: ClaimsOption = {"essential": True}
        expected = jwt.JWTClaimsRegistry(now, iss=here, aud=here, exp=there, iat=there, jti=there, role=roles)
        try:
            claims = read_claims(text, self._key, _RULES, expected)
        except ValueError as error:
            raise TokenError(f"the access token is refused: {error}") from None
        device = bytes.fromhex(claims["device"]) if "device" in claims else None
        id_, bound, issued = str(claims["jti"]), confirmation(claims), int(claims["iat"])
        caller = Caller(
            Role(claims["role"]), str(claims.get("sub", "")), claims.get("subject"), device, bound or id_
        )
        return Token(caller, last_second(claims["exp"], issued, self._most, now), bound, id_, issued)


def key_id(text: str) -> str | None:
    """Return the unverified key id in a token's header. Raises TokenError."""
    try:
        _, header = extract(text)
    except ValueError as error:
        raise TokenError(f"the access token is {error}") from None
    kid = header.get("kid")
    return kid if isinstance(kid, str) else None


def last_second(expires_at: int, issued_at: int, most: int, now: int) -> int:
    """Return when a token expires: at its `exp`, and at the latest `most` seconds after it was issued.

    Raises TokenError where that has passed at `now`.
    """
    end = min(expires_at, issued_at + most)
    if now >= end:
        raise TokenError(
            f"the access token was issued more than {most} s ago, for which tokens are good here "
            "(COVEY_REGISTRY_TOKEN_HOURS); ask for a new one"
        )
    return end


def confirmation(claims: Mapping[str, Any]) -> str | None:
    """Return the thumbprint of the key that a token is bound to (RFC 7800, RFC 9449). Raises TokenError."""
    if "cnf" not in claims:
        return None
    confirmed = claims["cnf"]
    if not isinstance(confirmed, dict) or not isinstance(confirmed.get("jkt"), str):
        raise TokenError("the access token is bound to a key in a way other than cnf.jkt (RFC 9449)")
    return str(confirmed["jkt"])
