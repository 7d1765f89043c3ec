"""Access tokens: JWTs (RFC 7519) under the registry's own Ed25519 key."""

from __future__ import annotations

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from joserfc.jwt import ClaimsOption
from joserfc.util import urlsafe_b64encode

from covey_consent import keys
from covey_consent.access.roles import Caller, Role
from covey_consent.errors import UnauthenticatedError
from covey_privacy.signatures import SigningKey

ALGORITHM = "Ed25519"


def jwk(key: SigningKey) -> OKPKey:
    """Return the key pair as a JSON Web Key (RFC 8037)."""
    public, secret = (urlsafe_b64encode(half).decode() for half in (key.public, key.secret))
    return OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": public, "d": secret})


class Tokens:
    """Mints and opens the tokens of one registry, which is their issuer and their audience."""

    def __init__(self, key: SigningKey, origin: str) -> None:
        self._key = jwk(SigningKey(keys.derive(key, "access tokens")))
        self._origin = origin

    def mint(self, caller: Caller, now: int, seconds: int) -> str:
        """Return a token that says who the caller is, for `seconds` from `now` (Unix seconds)."""
        claims: dict[str, str | int] = {"iss": self._origin, "aud": self._origin, "sub": caller.name}
        claims |= {"role": caller.role.value, "iat": now, "exp": now + seconds}
        if caller.subject is not None:
            claims["subject"] = caller.subject
        return jwt.encode(
            {"alg": ALGORITHM}, {**claims, "iat": now, "exp": now + seconds}, self._key, [ALGORITHM]
        )

    def open(self, token: str, now: int) -> Caller:
        """Return who a token says its bearer is. Raises UnauthenticatedError."""
        here: ClaimsOption = {"essential": True, "value": self._origin}
        roles: ClaimsOption = {"essential": True, "values": [role.value for role in Role]}
        registry = jwt.JWTClaimsRegistry(now, iss=here, aud=here, exp={"essential": True}, role=roles)
        try:
            claims = jwt.decode(token, self._key, [ALGORITHM]).claims
            registry.validate(claims)
        except (JoseError, ValueError) as error:
            raise UnauthenticatedError(f"the access token is refused: {error}") from None
        return Caller(Role(claims["role"]), str(claims.get("sub", "")), claims.get("subject"))
