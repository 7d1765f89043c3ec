"""The tokens verified last: a service that asks a thousand times a second has its token verified once."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from covey_consent.access.tokens import Token

LIMIT = 10_000
KEEP_SECONDS = 3600
"""After how long a token is verified anew, so that a key that was withdrawn stops counting."""


class Verified:
    """Verified tokens, by the SHA-256 of their text; used by the event loop's thread alone."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._held: OrderedDict[bytes, tuple[Token, int]] = OrderedDict()

    def get(self, text: str, now: int) -> Token | None:
        """Return what the text was verified to say, until that expires; `now` in Unix seconds."""
        digest = hashlib.sha256(text.encode()).digest()
        held = self._held.get(digest)
        if held is None:
            return None
        token, until = held
        if now >= until:
            del self._held[digest]
            return None
        self._held.move_to_end(digest)
        return token

    def keep(self, text: str, token: Token, now: int) -> None:
        """Remember what a text was verified to say."""
        until = min(token.expires_at, now + KEEP_SECONDS)
        self._held[hashlib.sha256(text.encode()).digest()] = token, until
        if len(self._held) > self._limit:
            self._held.popitem(last=False)
