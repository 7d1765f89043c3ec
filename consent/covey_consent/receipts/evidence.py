"""Evidence that the log holds a record: its salt, and its place in the log or the promise of one."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from covey_consent.decisions.records import Record, commit
from covey_consent.errors import RequestError
from covey_consent.receipts.jsonld import Hex32, timestamp
from covey_privacy import checkpoint
from covey_privacy.errors import PrivacyError
from covey_privacy.inclusion_promise import CONTEXT, Promise, consent_leaf
from covey_privacy.merkle import verify_inclusion
from covey_privacy.note import LIMIT
from covey_privacy.signatures import open_signed


class _Evidence(BaseModel):
    """The record as it was committed, and the salt (hex) that opens the commitment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    record: Record
    salt: Hex32

    @property
    def commitment(self) -> bytes:
        """The commitment to the record in the log."""
        return commit(bytes.fromhex(self.salt), self.record)


class InclusionEvidence(_Evidence):
    """Evidence of a record in the log: leaf `index` of `size`, its proof (hex), the signed checkpoint."""

    index: Annotated[int, Field(ge=0, lt=2**63)]
    size: Annotated[int, Field(gt=0, lt=2**63)]
    proof: Annotated[tuple[Hex32, ...], Field(max_length=64)]
    checkpoint: Annotated[str, StringConstraints(max_length=LIMIT)]

    def check(self, key: bytes) -> str:
        """Return the place in the log, in words. Raises RequestError unless `key`'s log holds the record."""
        proof = [bytes.fromhex(one) for one in self.proof]
        try:
            head = checkpoint.open_note(self.checkpoint, key)
            verify_inclusion(consent_leaf(self.commitment), self.index, head.size, proof, head.root)
        except PrivacyError as error:
            raise RequestError(f"event {self.record.event}: {error}") from None
        if (head.origin, head.size) != (self.record.registry, self.size):
            raise RequestError(
                f"event {self.record.event} is of log {self.record.registry!r} at size {self.size}; "
                f"the checkpoint is of {head.origin!r} at {head.size}"
            )
        return f"entry {self.index} of {self.size} in the log {head.origin}"


class PromiseEvidence(_Evidence):
    """Evidence of a record that is still to be published: the registry's signed promise (hex)."""

    promise: Annotated[str, StringConstraints(pattern="^([0-9a-f]{2}){1,2048}$")]

    def check(self, key: bytes) -> str:
        """Return the promise, in words. Raises RequestError unless `key` promised the record."""
        try:
            promise = open_signed(Promise, CONTEXT, bytes.fromhex(self.promise), key, signer="registry")
        except PrivacyError as error:
            raise RequestError(f"event {self.record.event}: {error}") from None
        if (promise.log, promise.commitment) != (self.record.registry, self.commitment):
            raise RequestError(f"the promise is of another log or record than event {self.record.event}")
        return f"promised to the log {self.record.registry} by {timestamp(promise.publish_by)}"
