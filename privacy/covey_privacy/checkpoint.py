"""Checkpoints of the transparency log as of C2SP tlog-checkpoint: signed notes over a log's head.

covey.example/log
42
qINS1GRFhWHwdkUeqLEoP4yEMkTBBzxBkGwGQlVlVcs=

— covey.example/log 0yxN...=
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from covey_privacy.errors import ServerError
from covey_privacy.merkle import EMPTY
from covey_privacy.note import ED25519, Note, VerifierKey, is_name, parse, to_base64, unbase64
from covey_privacy.protocol_rules import Rule
from covey_privacy.signatures import SigningKey, Verify, verify

MOST_LEAVES = 2**63 - 1

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log: its origin (a name without spaces), size and root hash."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The note's text, which is what is signed."""
        return f"{self.origin}\n{self.size}\n{to_base64(self.root)}\n"


EMPTY_LOG = Checkpoint("", 0, EMPTY)
"""What a phone knows before it has seen any checkpoint."""


def sign_checkpoint(checkpoint: Checkpoint, key: SigningKey) -> str:
    """Return the checkpoint as a signed note."""
    signature = key.sign(checkpoint.text.encode())
    line = VerifierKey(checkpoint.origin, ED25519, key.public).line(signature)
    return f"{checkpoint.text}\n{line}"


def open_note(note: str, key: bytes, verify: Verify = verify) -> Checkpoint:
    """Return the checkpoint in a signed note. Raises ServerError unless `key` signed it.

    Signatures of others, such as witnesses, are passed over.
    """
    parsed = parse(note)
    checkpoint = head(parsed)
    if not is_signed(parsed, checkpoint.origin, key, verify):
        raise ServerError(
            "the registry's checkpoint is not signed by its key; the log is not believed",
            rule=Rule.CHECKPOINT_SIGNATURE,
        )
    return checkpoint


def is_signed(note: Note, origin: str, key: bytes, verify: Verify = verify) -> bool:
    """Say whether the log `origin` signed the note with `key`: no signature line of that key is bad."""
    signatures = note.signatures(VerifierKey(origin, ED25519, key))
    message = note.text.encode()
    return bool(signatures) and all(verify(key, message, signature) for signature in signatures)


def head(note: Note) -> Checkpoint:
    """Return the checkpoint that a note's text states, its signatures unverified.

    Extension lines are signed and passed over. Raises ServerError when the text is not a checkpoint's.
    """
    try:
        origin, size, root, *extension = note.text[:-1].split("\n")
        checkpoint = Checkpoint(origin, int(size), unbase64(root))
    except ValueError:
        raise ServerError(
            "the note is not a checkpoint: origin, size and root hash were expected", rule=Rule.NOTE_FORM
        ) from None
    if not _SIZE.fullmatch(size) or checkpoint.size > MOST_LEAVES or len(checkpoint.root) != len(EMPTY):
        raise ServerError(
            "the checkpoint's size is not a plain number, or its root hash has not 32 bytes",
            rule=Rule.NOTE_FORM,
        )
    if not is_name(origin) or not all(extension):
        raise ServerError(
            f"the checkpoint's origin {origin[:100]!r} is no key's name, or a line is empty",
            rule=Rule.NOTE_FORM,
        )
    return checkpoint
