"""Authentication: finds the caller of a request by its access token and DPoP proof."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from cachetools import LRUCache
from starlette.requests import Request

from covey_consent.access import tokens
from covey_consent.access.dpop import Proof, Proofs
from covey_consent.access.identity_provider import IdentityProvider
from covey_consent.access.revocations import Revocations
from covey_consent.access.roles import Caller
from covey_consent.access.tokens import Token, Tokens
from covey_consent.errors import ProofError, TokenError, UnauthenticatedError

CACHED_TOKENS = 10_000
CACHED_SECONDS = 3600
"""After how long a token is verified anew, so that a key that was withdrawn stops counting."""


class TokenCache:
    """LRU cache of verified tokens, so that a service's token is not verified anew with each request."""

    def __init__(self, limit: int = CACHED_TOKENS) -> None:
        self._tokens: LRUCache[bytes, tuple[Token, int]] = LRUCache(limit)

    def get(self, text: str, now: int) -> Token | None:
        """Return the token that the text was verified to be, until it expires; `now` in Unix seconds."""
        token, until = self._tokens.get(hashlib.sha256(text.encode()).digest(), (None, 0))
        return token if now < until else None

    def keep(self, text: str, token: Token, now: int) -> None:
        """Keep the verified token of a text."""
        until = min(token.expires_at, now + CACHED_SECONDS)
        self._tokens[hashlib.sha256(text.encode()).digest()] = token, until


@dataclass(frozen=True, slots=True)
class Authenticator:
    """Verifies the registry's own tokens and its identity provider's.

    `public_url` is the address that callers use: DPoP proofs name it, and without it none is taken.
    """

    tokens: Tokens
    proofs: Proofs
    provider: IdentityProvider | None = None
    public_url: str | None = None
    verified: TokenCache = field(default_factory=TokenCache)
    revocations: Revocations = field(default_factory=Revocations)

    def known(self, authorization: str, now: int) -> Caller | None:
        """Return the caller of an Authorization header whose token was verified before."""
        token = self.verified.get(authorization.partition(" ")[2], now)
        return None if token is None or self.revocations.holds(token) else token.caller

    async def caller(self, request: Request, now: int) -> Caller:
        """Return the caller of the request; `now` in Unix seconds. Raises UnauthenticatedError."""
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() not in ("bearer", "dpop") or not text:
            raise UnauthenticatedError("an access token is needed: Authorization: Bearer <token>")
        token = self.verified.get(text, now) or await self._open(text, now)
        self.revocations.check(token)
        if token.thumbprint is None and scheme.lower() == "bearer":
            return token.caller
        proof = self.proof(request, now, text)
        if scheme.lower() != "dpop":
            raise ProofError("this access token is bound to a key: Authorization: DPoP <token>, with a proof")
        if token.thumbprint != proof.thumbprint:
            raise ProofError("the DPoP proof is by another key than the access token is bound to")
        return token.caller

    def proof(self, request: Request, now: int, token: str | None = None) -> Proof:
        """Return the request's one DPoP proof. Raises ProofError."""
        sent = request.headers.getlist("dpop")
        if len(sent) != 1:
            raise ProofError(f"{len(sent)} DPoP headers arrived; one proof is needed for this request")
        if self.public_url is None:
            # The Host header is the caller's: a proof that was made for another server would pass under it.
            raise ProofError(
                "this registry takes no DPoP proofs, because it has no address that they could be held "
                "against; its operator sets COVEY_REGISTRY_PUBLIC_URL"
            )
        return self.proofs.check(sent[0], request.method, self.public_url + request.url.path, now, token)

    async def _open(self, text: str, now: int) -> Token:
        if len(text) > tokens.LONGEST:
            raise TokenError(f"the access token is longer than {tokens.LONGEST} characters")
        if tokens.key_id(text) == self.tokens.kid:
            token = self.tokens.open(text, now)
        elif self.provider is not None:
            token = await self.provider.open(text, now)
        else:
            raise TokenError("the access token is not of this registry, which trusts no other issuer")
        self.verified.keep(text, token, now)
        return token
