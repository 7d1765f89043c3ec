"""Promises: the registry's word, given at once, that a consent event will stand in its log by a certain time.

What RFC 6962 (3) calls a signed certificate timestamp, for the salted commitment of an event. Kept, it needs
no more than the promise, a later checkpoint and an inclusion proof. Broken, it needs time, and checkpoints
have none: a witness's cosignature says that at its time this was the greatest head it had seen. Without
cosignatures nobody can show others that a promise is overdue, only see it by their own clock. With them it is
shown as far as the witnesses are believed; a registry whose greater heads never reached a witness answers
with one that another witness cosigned in time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Annotated

from covey_privacy import wire
from covey_privacy.checkpoint import Checkpoint, open_note
from covey_privacy.errors import ServerError
from covey_privacy.merkle import Tree, leaf_hash, verify_inclusion
from covey_privacy.note import VerifierKey, parse
from covey_privacy.protocol_rules import Rule
from covey_privacy.registry_messages import LEAF_CONSENT, Inclusion, Milliseconds
from covey_privacy.signatures import Verify, verify
from covey_privacy.witness import cosigned_at

CONTEXT = "promise"


@dataclass(frozen=True, slots=True)
class Promise:
    """The log called `log` will hold the commitment at `publish_by`; `at` is when this was promised."""

    log: Annotated[str, wire.Size(1, 200)]
    commitment: wire.Bytes32
    at: Milliseconds
    publish_by: Milliseconds

    @property
    def leaf(self) -> bytes:
        """The hash of the leaf that will stand in the log."""
        return consent_leaf(self.commitment)


class PromiseVerdict(Enum):
    """What a head of the log, with all its leaves, shows about a promise."""

    KEPT = "the log holds the event"
    BROKEN = "a witness saw the log past the promise's time, and the event was not in it"
    OPEN = "the event is not in this log, and no witness says that the promise's time had passed"


def consent_leaf(commitment: bytes) -> bytes:
    """Return the hash of the log's leaf for a consent event: it says nothing but the commitment."""
    return leaf_hash(LEAF_CONSENT + commitment)


def require_kept(
    promise: Promise, note: str, inclusion: Inclusion, key: bytes, verify: Verify = verify
) -> Checkpoint:
    """Return the head in the signed `note`, in whose log the promised event stands. Raises ServerError."""
    head = _head(promise, note, key, verify)
    if inclusion.size != head.size:
        raise ServerError(
            f"the proof is for a log of {inclusion.size} leaves; the checkpoint has {head.size}",
            rule=Rule.LOG_INCLUSION,
        )
    verify_inclusion(promise.leaf, inclusion.index, head.size, inclusion.proof, head.root)
    return head


def judge(
    promise: Promise,
    note: str,
    leaves: Sequence[bytes],
    key: bytes,
    witnesses: Iterable[VerifierKey] = (),
    verify: Verify = verify,
) -> PromiseVerdict:
    """Return what the signed `note` shows about the promise; `leaves` are all leaf hashes of its log.

    The last time that any of `witnesses` cosigned the note counts. Raises ServerError where the note is not
    of the log that `key` signs, or the leaves are not its leaves.
    """
    head = _head(promise, note, key, verify)
    if (len(leaves), Tree(leaves).root()) != (head.size, head.root):
        raise ServerError(
            f"these {len(leaves)} leaves are not those of the checkpoint", rule=Rule.LOG_CONSISTENCY
        )
    if promise.leaf in leaves:
        return PromiseVerdict.KEPT
    times = [cosigned_at(parse(note), witness, verify) or 0 for witness in witnesses]
    overdue = 1000 * max(times, default=0) > promise.publish_by
    return PromiseVerdict.BROKEN if overdue else PromiseVerdict.OPEN


def _head(promise: Promise, note: str, key: bytes, verify: Verify) -> Checkpoint:
    head = open_note(note, key, verify)
    if head.origin != promise.log:
        raise ServerError(
            f"the promise is for the log {promise.log!r}; the checkpoint is of {head.origin!r}",
            rule=Rule.LOG_ORIGIN,
        )
    return head
