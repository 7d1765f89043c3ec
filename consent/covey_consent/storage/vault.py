"""The vault: a person's salts and what their devices signed, sealed under a key of theirs (AES-256-GCM).

What decisions are looked up by is not sealed: pseudonyms, device keys, purposes, states, times, requests.

That key lies in one small table, itself sealed under a key that the registry derives from its own. Who
deletes the row makes unreadable all that was sealed for the person, in every backup that lacks the row.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from covey_consent.errors import DamageError
from covey_consent.storage import key_file
from covey_privacy.signatures import SigningKey

KEY_LENGTH = 32
_NONCE = 12

Randomness = Callable[[int], bytes]


class Sealer:
    """Seals for one key; every sealing is under a fresh nonce."""

    def __init__(self, key: bytes, randomness: Randomness = secrets.token_bytes) -> None:
        self._cipher, self._randomness = AESGCM(key), randomness

    def seal(self, plaintext: bytes, associated: bytes) -> bytes:
        """Return the plaintext sealed, bound to `associated`."""
        nonce = self._randomness(_NONCE)
        return nonce + self._cipher.encrypt(nonce, plaintext, associated)

    def unseal(self, sealed: bytes, associated: bytes) -> bytes:
        """Return what was sealed. Raises DamageError when it was altered, or sealed for something else."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], associated)
        except InvalidTag:
            raise DamageError(
                "a sealed record does not open under its key: somebody changed the table, or the key file is "
                "another database's; restore both from their backup"
            ) from None


class Vault:
    """Makes and opens people's keys."""

    def __init__(self, key: SigningKey, randomness: Randomness = secrets.token_bytes) -> None:
        self._sealer = Sealer(key_file.derive(key, "subject keys"), randomness)
        self._randomness = randomness

    def make(self, subject: str) -> bytes:
        """Return a fresh key for this person, wrapped."""
        return self._sealer.seal(self._randomness(KEY_LENGTH), subject.encode())

    def open(self, subject: str, wrapped: bytes) -> Sealer:
        """Return what seals under this person's key. Raises DamageError."""
        return Sealer(self._sealer.unseal(wrapped, subject.encode()), self._randomness)
