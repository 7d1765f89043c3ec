"""What of JOSE is taken: compact JWSs, under asymmetric algorithms by allow-list: no `none`, no secrets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import Key
from joserfc.jws import CompactSignature, JWSRegistry
from joserfc.jwt import JWTClaimsRegistry

PROVIDERS = ("Ed25519", "EdDSA", "ES256", "RS256", "PS256")
"""What an identity provider may sign tokens with. `EdDSA` is the older name of `Ed25519`."""

PROOFS = ("Ed25519", "EdDSA", "ES256")
"""What a device may sign proofs with: what telephones' key stores hold."""


_BROKEN = (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError)
"""What joserfc raises on headers that are JSON, and not of the kind that they should be."""


class Allowed(JWSRegistry):
    """The JWS rules with these algorithms alone; headers they do not know are ignored (RFC 7515)."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)
        super().__init__(algorithms=self._names, strict_check_header=False)

    def get_alg(self, name: str) -> Any:
        """Return the algorithm. Raises UnsupportedAlgorithmError."""
        if name not in self._names:
            raise UnsupportedAlgorithmError(f"the algorithm is none of {', '.join(sorted(self._names))}")
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
