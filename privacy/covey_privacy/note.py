"""Signed notes as of C2SP signed-note: a text, and below it one line for each signature.

covey.example/log
42
qINS1GRFhWHwdkUeqLEoP4yEMkTBBzxBkGwGQlVlVcs=

— covey.example/log 0yxN...=
— witness.example/w1 jWbP...=
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from covey_privacy.errors import MisuseError, ServerError
from covey_privacy.protocol_rules import Rule

ED25519 = 0x01
COSIGNATURE = 0x04
"""Signature types: plain Ed25519, and Ed25519 cosignatures with a time (tlog-cosignature)."""

LIMIT = 2**17
"""A note's characters at most: what sixteen post-quantum signatures need."""

MOST_SIGNATURES = 16

_DASH = "— "
_FORBIDDEN = re.compile("[\x00-\x09\x0b-\x1f\ud800-\udfff]")
"""Control characters but newlines, and what no UTF-8 decodes to."""


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key under the name it signs as; `algorithm` is a signature type."""

    name: str
    algorithm: int
    public: bytes

    def __post_init__(self) -> None:
        if not is_name(self.name):
            raise MisuseError(f"a key's name is not empty, without spaces or '+'; {self.name!r} was given")
        if self.algorithm in (ED25519, COSIGNATURE) and len(self.public) != 32:
            raise MisuseError(f"an Ed25519 key has 32 bytes; that of {self.name!r} has {len(self.public)}")

    @classmethod
    def parse(cls, vkey: str) -> VerifierKey:
        """Return the key written as `name+id+key`. Raises MisuseError when it is not one."""
        try:
            name, key_id, encoded = vkey.split("+", 2)
            material = unbase64(encoded)
        except ValueError:
            raise MisuseError(f"a verifier key reads name+id+key; {vkey!r} was given") from None
        key = cls(name, material[0] if material else 0, material[1:])
        if key.id.hex() != key_id:
            raise MisuseError(f"the id of the key of {name!r} is {key.id.hex()}; {key_id!r} was written")
        return key

    @property
    def id(self) -> bytes:
        """The four bytes by which signature lines name the key."""
        return hashlib.sha256(self.name.encode() + b"\n" + self._material).digest()[:4]

    @property
    def vkey(self) -> str:
        """The key as text, as others configure it."""
        return f"{self.name}+{self.id.hex()}+{to_base64(self._material)}"

    @property
    def _material(self) -> bytes:
        return bytes([self.algorithm]) + self.public

    def line(self, signature: bytes) -> str:
        """Return the signature line, with its newline."""
        return f"{_DASH}{self.name} {to_base64(self.id + signature)}\n"


def public_key(text: str) -> bytes:
    """Return a log's Ed25519 key, written as `name+id+key` or as 64 hex digits. Raises MisuseError."""
    if re.fullmatch("[0-9a-fA-F]{64}", text):
        return bytes.fromhex(text)
    if "+" not in text:
        raise MisuseError(
            f"{text[:80]!r} is no registry's public key: what `covey registry key` prints was expected, or "
            "64 hex digits"
        )
    key = VerifierKey.parse(text)
    if key.algorithm != ED25519:
        raise MisuseError(f"the key of {key.name!r} is of another kind than a registry's: it is a witness's")
    return key.public


@dataclass(frozen=True, slots=True)
class Note:
    """A note's text, to its last newline, and its signature lines as (name, key id, signature)."""

    text: str
    lines: tuple[tuple[str, bytes, bytes], ...]

    def signatures(self, key: VerifierKey) -> list[bytes]:
        """Return the signatures that claim to be of `key`; those of other keys do not count."""
        return [signature for name, key_id, signature in self.lines if (name, key_id) == (key.name, key.id)]


def parse(note: str) -> Note:
    """Return the note, its signatures unverified. Raises ServerError when it is not a signed note."""
    if len(note) > LIMIT:
        raise ServerError(
            f"a signed note has at most {LIMIT} characters; {len(note)} arrived", rule=Rule.NOTE_FORM
        )
    # The text may hold empty lines: the last one ends it.
    text, _, below = note.rpartition("\n\n")
    lines = below.split("\n")
    if not text or _FORBIDDEN.search(note) or lines.pop() or not 1 <= len(lines) <= MOST_SIGNATURES:
        raise ServerError(
            "this is not a signed note: a text, an empty line and 1 to "
            f"{MOST_SIGNATURES} signature lines were expected",
            rule=Rule.NOTE_FORM,
        )
    return Note(text + "\n", tuple(map(_signature, lines)))


def is_name(name: str) -> bool:
    """Say whether a key may have this name: it is not empty and has neither spaces nor a plus."""
    return bool(name) and "+" not in name and not any(character.isspace() for character in name)


def to_base64(data: bytes) -> str:
    """Return the standard base64 of `data` (RFC 4648, section 4)."""
    return base64.b64encode(data).decode()


def unbase64(text: str) -> bytes:
    """Return what `text` is the base64 of. Raises ValueError unless it is the only such text."""
    data = base64.b64decode(text, validate=True)
    if to_base64(data) != text:
        raise binascii.Error("not canonical base64")
    return data


def _signature(line: str) -> tuple[str, bytes, bytes]:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    try:
        blob = unbase64(encoded)
    except ValueError:
        blob = b""
    if not line.startswith(_DASH) or not is_name(name) or len(blob) <= 4:
        raise ServerError(
            f"{line[:100]!r} is not a signature line: '— name base64' was expected", rule=Rule.NOTE_FORM
        )
    return name, blob[:4], blob[4:]
