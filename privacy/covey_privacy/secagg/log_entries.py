"""The registry's heads as log entries: what a decryptor asks for before it believes one.

A head counts only once it stands in the log under a checkpoint that enough witnesses cosigned, so that a
registry restored from a backup, or one that lies, cannot sign a second one unseen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from covey_privacy.checkpoint import open_note
from covey_privacy.errors import PeerError, ServerError
from covey_privacy.merkle import leaf_hash, verify_inclusion
from covey_privacy.protocol_rules import Rule
from covey_privacy.secagg.keys import verify
from covey_privacy.secagg.messages import Logged
from covey_privacy.signatures import Verify, open_signed
from covey_privacy.witness import WitnessPolicy

T = TypeVar("T")

LEAF_SECAGG = b"S"
"""The kind byte of these entries in the registry's log."""


@dataclass(frozen=True, slots=True)
class LogView:
    """Whom a decryptor believes about the log.

    The log's name and the registry's key are pinned: a registry with a second log under another name could
    have a second set cosigned there. `witnesses` says who must have cosigned.
    """

    origin: str
    registry: bytes
    witnesses: WitnessPolicy

    def require_logged(self, signed: bytes, logged: Logged, now: int, verify: Verify = verify) -> None:
        """Raise ServerError unless the signed head stands in the witnessed log; `now` is in POSIX seconds."""
        self.require_entry(entry_of(signed), logged, now, verify)

    def require_entry(self, entry: bytes, logged: Logged, now: int, verify: Verify = verify) -> None:
        """Raise ServerError unless an entry of any kind stands in the witnessed log, as `require_logged`."""
        checkpoint = open_note(logged.note, self.registry, verify)
        if checkpoint.origin != self.origin:
            raise ServerError(
                f"the entry stands in the log {checkpoint.origin!r}; {self.origin!r} was expected",
                rule=Rule.LOG_ORIGIN,
            )
        self.witnesses.check(logged.note, now, verify)
        verify_inclusion(leaf_hash(entry), logged.index, checkpoint.size, logged.proof, checkpoint.root)


def entry_of(signed: bytes) -> bytes:
    """Return the log entry of a signed head."""
    return LEAF_SECAGG + signed


def open_head(
    cls: type[T], signing_context: str, signed: bytes, registry: bytes, verify: Verify = verify
) -> T:
    """Return the head in a signed document. Raises ServerError unless the registry signed it."""
    try:
        return open_signed(cls, signing_context, signed, registry, verify, "registry")
    except PeerError as error:
        raise ServerError(str(error), rule=Rule.HEAD_SIGNATURE) from None
