"""What was seen once: the proofs of the last minutes, so that none counts twice."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from covey_consent.errors import ProofError, UnavailableError

LIMIT = 200_000
"""Proofs remembered at once, in about 40 MB."""


class Replays:
    """The proofs taken in the last `seconds`; a full memory takes no more, rather than forget one."""

    def __init__(self, seconds: int, limit: int = LIMIT) -> None:
        self._seconds, self._limit = seconds, limit
        self._seen: OrderedDict[bytes, int] = OrderedDict()

    def take(self, thumbprint: str, jti: str, now: int) -> None:
        """Remember a proof by its key and id; `now` in Unix seconds. Raises ProofError the second time."""
        self._forget(now)
        proof = hashlib.sha256(f"{thumbprint} {jti}".encode()).digest()
        if proof in self._seen:
            raise ProofError("the DPoP proof was used before; make one for each request")
        if len(self._seen) >= self._limit:
            raise UnavailableError(f"{self._limit} DPoP proofs came in {self._seconds} s; try again later")
        self._seen[proof] = now

    def _forget(self, now: int) -> None:
        while self._seen:
            proof, taken_at = next(iter(self._seen.items()))
            if now - taken_at <= self._seconds:
                return
            del self._seen[proof]
