"""The public files of a round, as everyone downloads them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from covey_privacy.secagg.terms import digest_of_fields


@dataclass(frozen=True, slots=True)
class RoundFiles:
    """What a phone is given of a round: the same static files for everyone.

    `manifest` is signed by the operator, `committee` is a `secagg.messages.CommitteeFile`, `documents` are
    the signed public documents that the question builds on, in the order of its `builds_on`.
    """

    manifest: bytes
    committee: bytes
    documents: tuple[bytes, ...] = ()

    @property
    def digest(self) -> bytes:
        """SHA-256 over all of it: the same round is asked for with the same files."""
        documents = (hashlib.sha256(document).digest() for document in self.documents)
        return digest_of_fields(self.manifest, self.committee, *documents)
