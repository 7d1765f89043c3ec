"""The public files of a round: the same bytes for every phone, node and decryptor."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated

from covey_privacy import wire
from covey_privacy.signatures import DOCUMENT_LIMIT
from covey_privacy.tickets import IssuerKeys

MOST_DOCUMENTS = 8
COMMITTEE_LIMIT = 2**22

Document = Annotated[bytes, wire.Size(1, DOCUMENT_LIMIT)]


@dataclass(frozen=True, slots=True)
class RoundFiles:
    """A round's files.

    `manifest` is signed by the operator, and `issuer_keys` are those that it names. `committee` is a
    `secagg.messages.CommitteeFile`, empty until the committees are known. `documents` are the signed public
    documents that the question builds on, in the order of its `builds_on`.
    """

    manifest: Document
    issuer_keys: IssuerKeys
    committee: Annotated[bytes, wire.Size(0, COMMITTEE_LIMIT)] = b""
    documents: Annotated[tuple[Document, ...], wire.Size(0, MOST_DOCUMENTS)] = ()

    @property
    def digest(self) -> bytes:
        """SHA-256 over all of it: the same round is asked for with the same files."""
        return hashlib.sha256(wire.encode(self)).digest()
