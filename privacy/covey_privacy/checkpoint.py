"""Checkpoints of the transparency log: signed notes as of C2SP (tlog-checkpoint, signed-note).

covey.example/log
42
qINS1GRFhWHwdkUeqLEoP4yEMkTBBzxBkGwGQlVlVcs=

— covey.example/log 0yxN...=
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass

from covey_privacy.errors import ServerError
from covey_privacy.merkle import EMPTY
from covey_privacy.signatures import SigningKey, Verify, verify

_ED25519 = b"\x01"
_LIMIT = 4096


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log: its origin (a name without spaces), size and root hash."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The note's text, which is what is signed."""
        return f"{self.origin}\n{self.size}\n{_base64(self.root)}\n"


EMPTY_LOG = Checkpoint("", 0, EMPTY)
"""What a phone knows before it has seen any checkpoint."""


def sign(checkpoint: Checkpoint, key: SigningKey) -> str:
    """Return the checkpoint as a signed note."""
    signature = key.sign(checkpoint.text.encode())
    blob = _base64(_key_id(checkpoint.origin, key.public) + signature)
    return f"{checkpoint.text}\n— {checkpoint.origin} {blob}\n"


def open_note(note: str, key: bytes, verify: Verify = verify) -> Checkpoint:
    """Return the checkpoint in a signed note. Raises ServerError unless `key` signed it."""
    if len(note) > _LIMIT:
        raise ServerError(f"a checkpoint has at most {_LIMIT} characters; {len(note)} arrived")
    try:
        text, _, signatures = note.partition("\n\n")
        origin, size, root = text.split("\n")
        checkpoint = Checkpoint(origin, int(size), base64.b64decode(root, validate=True))
        blobs = [base64.b64decode(line.split(" ")[2], validate=True) for line in signatures.splitlines()]
    except (ValueError, IndexError, binascii.Error):
        raise ServerError("the registry's checkpoint is not a signed note") from None
    prefix, message = _key_id(origin, key), checkpoint.text.encode()
    if not any(blob[:4] == prefix and verify(key, message, blob[4:]) for blob in blobs):
        raise ServerError("the registry's checkpoint is not signed by its key; the log is not believed")
    return checkpoint


def _key_id(name: str, key: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + key).digest()[:4]


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
