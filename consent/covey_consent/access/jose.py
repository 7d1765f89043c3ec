"""The part of JOSE that is accepted: compact JWSs under asymmetric algorithms from an allow-list."""

from __future__ import annotations

from typing import Any

from joserfc import jws, jwt
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import Key
from joserfc.jws import CompactSignature, JWSRegistry
from joserfc.jwt import JWTClaimsRegistry

_BROKEN = (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError)
"""What joserfc raises on headers that are JSON, and not of the kind that they should be."""


class Allowed(JWSRegistry):
    """The JWS rules with these algorithms alone; unknown headers are ignored (RFC 7515)."""

    def __init__(self, *names: str) -> None:
        super().__init__(algorithms=names, strict_check_header=False)

    def get_alg(self, name: str) -> Any:
        """Return the algorithm, without joserfc's warning of `EdDSA`. Raises UnsupportedAlgorithmError."""
        if name not in (self.allowed or ()):
            raise UnsupportedAlgorithmError(f"the algorithm is none of {', '.join(self.allowed or ())}")
        return self.algorithms[name]


def extract(text: str) -> tuple[CompactSignature, dict[str, Any]]:
    """Return a JWS and its header, both unverified. Raises ValueError."""
    try:
        found = jws.extract_compact(text.encode("ascii"))
        header = found.headers()
    except _BROKEN as error:
        raise ValueError(f"no JWS in compact form (RFC 7515): {error}") from None
    if not isinstance(header, dict):
        raise ValueError("no JWS in compact form (RFC 7515): its header is no object")  # noqa: TRY004
    return found, header


def read_claims(text: str, key: Key, rules: Allowed, expected: JWTClaimsRegistry) -> dict[str, Any]:
    """Return the claims of a JWT (RFC 7519) that the key signed. Raises ValueError."""
    try:
        claims = jwt.decode(text, key, registry=rules).claims
        expected.validate(claims)
    except _BROKEN as error:
        raise ValueError(str(error)) from None
    return claims
