"""Tokens of an identity provider (OpenID Connect): its keys, its issuer, its names of roles."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from joserfc import jwt
from joserfc.jwt import ClaimsOption

from covey_consent.access.jose import PROVIDERS, Allowed, read_claims
from covey_consent.access.jwks import KeySet
from covey_consent.access.roles import Caller, Role
from covey_consent.access.tokens import MOST_SECONDS, Token, confirmation, key_id, last_second
from covey_consent.errors import TokenError

_RULES = Allowed(PROVIDERS)

_PSEUDONYM = re.compile("[0-9a-f]{32}")


class IdentityProvider:
    """Opens the tokens of one issuer for one audience; its clock may differ by `leeway` seconds.

    `role_claim` is where the role stands, a path with dots; `roles` gives ours for the provider's names.
    `subject_claim` is where a person's pseudonym stands. No token is good for longer than `most_seconds`.
    """

    def __init__(
        self,
        issuer: str,
        audience: str,
        keys: KeySet,
        leeway: int,
        role_claim: str = "role",
        roles: Mapping[str, Role] | None = None,
        subject_claim: str = "sub",
        most_seconds: int = MOST_SECONDS,
    ) -> None:
        self._issuer, self._audience, self._keys, self._leeway = issuer, audience, keys, leeway
        self._role_claim, self._subject_claim = role_claim, subject_claim
        self._roles = roles or {role.value: role for role in Role}
        self._most = most_seconds

    async def open(self, text: str, now: int) -> Token:
        """Return what a token of the provider says. Raises TokenError, UnavailableError without its keys."""
        key = await self._keys.find(key_id(text), now)
        try:
            claims = read_claims(text, key, _RULES, self._expected(now))
        except ValueError as error:
            raise TokenError(f"the access token is refused: {error}") from None
        role, sub = self._role(claims), str(claims["sub"])
        if not sub.isprintable():
            raise TokenError("the access token's sub is not printable: it is a name in the access log")
        subject = self._subject(claims) if role is Role.SUBJECT else None
        bound, issued, end = confirmation(claims), int(claims["iat"]), int(claims["exp"]) + self._leeway
        # A provider need not number its tokens (RFC 7519, section 4.1.7).
        id_ = str(claims.get("jti") or hashlib.sha256(text.encode()).hexdigest())
        caller = Caller(role, sub, subject, credential=bound or id_)
        return Token(caller, last_second(end, issued, self._most, now), bound, id_, issued)

    def _expected(self, now: int) -> jwt.JWTClaimsRegistry:
        issuer: ClaimsOption = {"essential": True, "value": self._issuer}
        audience: ClaimsOption = {"essential": True, "value": self._audience}
        there: ClaimsOption = {"essential": True}
        return jwt.JWTClaimsRegistry(
            now, self._leeway, iss=issuer, aud=audience, sub=there, iat=there, exp=there
        )

    def _role(self, claims: Any) -> Role:
        """Return the one role of the registry's that is claimed: two would be no separation of duties."""
        found = _at(claims, self._role_claim)
        named = found if isinstance(found, list) else [found]
        roles = {self._roles[name] for name in named if isinstance(name, str) and name in self._roles}
        if len(roles) != 1:
            raise TokenError(
                f"the access token names {len(roles)} of the registry's roles in {self._role_claim!r}; "
                "its issuer has to name one"
            )
        return roles.pop()

    def _subject(self, claims: Any) -> str:
        """Return the pseudonym that is claimed: without one, a person's token opens nothing."""
        found = _at(claims, self._subject_claim)
        if not isinstance(found, str) or not _PSEUDONYM.fullmatch(found):
            raise TokenError(
                f"the access token has no pseudonym of 32 hex digits in {self._subject_claim!r}; its issuer "
                "has to say whose records a subject may see"
            )
        return found


def _at(claims: Any, path: str) -> Any:
    for name in path.split("."):
        claims = claims.get(name) if isinstance(claims, dict) else None
    return claims
