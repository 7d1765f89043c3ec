"""The annex: a round's exact figures, sealed. The public leaf has its hash, which a salt keeps from search.

Each round's annex has a key of its own, so that an auditor can be given one and no other.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from covey_privacy import wire
from covey_privacy.errors import PeerError, ServerError
from covey_privacy.evidence import Evidence
from covey_privacy.protocol_rules import Rule
from covey_privacy.signatures import SigningKey

_PURPOSE = b"covey/1/annex"
_NONCE = 12


@dataclass(frozen=True, slots=True)
class Annex:
    """The exact figures, sealed by the operator. Without the salt nobody finds them by the leaf's hash."""

    round_id: wire.Name
    volunteers: wire.U32
    included: wire.U32
    final: wire.U32
    bad: wire.U32
    spent: wire.U32
    retracted: wire.U32
    seconds: Annotated[float, wire.Range(0, 1e9)]
    salt: wire.Bytes32

    @property
    def digest(self) -> bytes:
        """SHA-256 of the encoded annex, which the public leaf has."""
        return hashlib.sha256(wire.encode(self)).digest()


def key(operator: SigningKey, round_id: str) -> bytes:
    """Return the 32 bytes that open one round's annex."""
    info = _PURPOSE + round_id.encode()
    return HKDF(hashes.SHA256(), 32, salt=None, info=info).derive(operator.secret)


def seal(annex: Annex, key: bytes, random: Callable[[int], bytes] = os.urandom) -> bytes:
    """Return the annex sealed with AES-256-GCM, behind a random nonce: a round may end in two ways."""
    nonce = random(_NONCE)
    return nonce + AESGCM(key).encrypt(nonce, wire.encode(annex), _PURPOSE)


def unseal(sealed: bytes, key: bytes) -> Annex:
    """Return the annex. Raises PeerError where it was altered or is another round's."""
    try:
        opened = AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], _PURPOSE)
    except (InvalidTag, ValueError):
        raise PeerError(
            "the annex does not open: it was altered, or the key is another round's",
            rule=Rule.DOCUMENT_CONTENT,
        ) from None
    return wire.decode(Annex, opened)


def audit(sealed: bytes, key: bytes, evidence: Evidence) -> Annex:
    """Return the annex of a round's evidence. Raises ServerError where it is not the one that is logged."""
    annex = unseal(sealed, key)
    if (annex.round_id, annex.digest) != (evidence.round_id, evidence.annex):
        raise ServerError(
            f"the annex is of round {annex.round_id!r} and is not the one that the evidence of "
            f"{evidence.round_id!r} has the hash of",
            rule=Rule.DOCUMENT_CONTENT,
        )
    return annex
