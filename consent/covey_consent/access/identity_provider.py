"""Access tokens of an identity provider (OpenID Connect)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from joserfc import jwt
from joserfc.jwt import ClaimsOption

from covey_consent.access.jose import Allowed, read_claims
from covey_consent.access.jwks import KeySet
from covey_consent.access.roles import Caller, Role
from covey_consent.access.tokens import MOST_SECONDS, Token, confirmation, key_id, last_second
from covey_consent.errors import TokenError

_RULES = Allowed("ES256", "Ed25519", "EdDSA", "PS256", "RS256")
"""What an identity provider may sign tokens with. `EdDSA` is the older name of `Ed25519`."""

_PSEUDONYM = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class IdentityProvider:
    """Verifies the tokens of one issuer for one audience; its clock may differ by `leeway` seconds.

    `role_claim` is where the role stands, a path with dots; `roles` gives ours for the provider's names.
    `subject_claim` is where a person's pseudonym stands. No token is good for longer than `most_seconds`.
    """

    issuer: str
    audience: str
    keys: KeySet
    leeway: int
    role_claim: str = "role"
    roles: Mapping[str, Role] = field(default_factory=dict)
    subject_claim: str = "sub"
    most_seconds: int = MOST_SECONDS

    async def open(self, text: str, now: int) -> Token:
        """Verify a token of the provider. Raises TokenError, UnavailableError without its keys."""
        key = await self.keys.find(key_id(text), now)
        there: ClaimsOption = {"essential": True}
        expected = jwt.JWTClaimsRegistry(
            now,
            self.leeway,
            iss={"essential": True, "value": self.issuer},
            aud={"essential": True, "value": self.audience},
            sub=there,
            iat=there,
            exp=there,
        )
        try:
            claims = read_claims(text, key, _RULES, expected)
        except ValueError as error:
            raise TokenError(f"the access token is refused: {error}") from None
        role, sub = self._role(claims), str(claims["sub"])
        if not sub.isprintable():
            raise TokenError("the access token's sub is not printable: it is a name in the access log")
        subject = self._subject(claims) if role is Role.SUBJECT else None
        bound, issued, end = confirmation(claims), int(claims["iat"]), int(claims["exp"]) + self.leeway
        # A provider need not number its tokens (RFC 7519, section 4.1.7).
        id_ = str(claims.get("jti") or hashlib.sha256(text.encode()).hexdigest())
        caller = Caller(role, sub, subject, credential=bound or id_)
        return Token(caller, last_second(end, issued, self.most_seconds, now), bound, id_, issued)

    def _role(self, claims: Any) -> Role:
        """Return the claimed role; two would break the separation of duties."""
        found = _at(claims, self.role_claim)
        named = found if isinstance(found, list) else [found]
        ours = self.roles or {role.value: role for role in Role}
        roles = {ours[name] for name in named if isinstance(name, str) and name in ours}
        if len(roles) != 1:
            raise TokenError(
                f"the access token names {len(roles)} of the registry's roles in {self.role_claim!r}; "
                "its issuer has to name one"
            )
        return roles.pop()

    def _subject(self, claims: Any) -> str:
        """Return the claimed pseudonym, which a person's token needs."""
        found = _at(claims, self.subject_claim)
        if not isinstance(found, str) or not _PSEUDONYM.fullmatch(found):
            raise TokenError(
                f"the access token has no pseudonym of 32 hex digits in {self.subject_claim!r}; its issuer "
                "has to say whose records a subject may see"
            )
        return found


def _at(claims: Any, path: str) -> Any:
    for name in path.split("."):
        claims = claims.get(name) if isinstance(claims, dict) else None
    return claims
