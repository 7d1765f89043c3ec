"""Keys and masks: X25519 (RFC 7748), HKDF-SHA256 (RFC 5869), AES-256-CTR as the stream, AES-256-GCM to seal.

Every derived key is bound to the round's context: a device that was shown another roster, manifest or model
derives other masks, and they do not cancel.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from covey_privacy.errors import PeerError
from covey_privacy.five_phases.ring import Vector
from covey_privacy.rules import Rule

_NONCE = bytes(12)
_CTR = modes.CTR(bytes(16))
BLOCK = 2**16
"""Words of a stream that are made at a time."""
_ZEROS = memoryview(bytes(4 * BLOCK))
TAG_LENGTH = 16


class KeyPair:
    """An X25519 key pair from its 32-byte secret."""

    def __init__(self, secret: bytes) -> None:
        self._key = X25519PrivateKey.from_private_bytes(secret)

    @property
    def public(self) -> bytes:
        """The 32-byte public key."""
        return self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def exchange(self, peer: bytes) -> bytes:
        """Return the 32 bytes that only this pair and the holder of `peer` know; keys are derived of them.

        Raises PeerError for a peer key of low order.
        """
        try:
            return self._key.exchange(public_key(peer))
        except ValueError:
            raise PeerError(
                "a peer's public key is of low order; no secret can be shared with it",
                rule=Rule.LOW_ORDER_KEY,
            ) from None


@functools.lru_cache(maxsize=2**12)
def public_key(key: bytes) -> X25519PublicKey:
    """Return a public key as the library holds it: a coordinator meets each survivor's many times."""
    return X25519PublicKey.from_public_bytes(key)


def derive(secret: bytes, info: bytes) -> bytes:
    """Return 32 bytes of HKDF-SHA256."""
    return HKDF(hashes.SHA256(), 32, salt=None, info=info).derive(secret)


def add_streams(total: Vector, plus: Iterable[bytes], minus: Iterable[bytes] = ()) -> None:
    """Add the streams of the keys in `plus` to `total` and take away those in `minus`, in place.

    A stream is made block by block into one buffer that stays in the processor's cache.
    """
    buffer = np.empty(min(len(total), BLOCK), "<u4")
    blocks = [total[start : start + BLOCK] for start in range(0, len(total), BLOCK)]
    pairs = [(block, buffer[: len(block)]) for block in blocks]
    steps = [(block, words, words.data.cast("B"), _ZEROS[: words.nbytes]) for block, words in pairs]
    for add, keys in ((np.add, plus), (np.subtract, minus)):
        for key in keys:
            encryptor = Cipher(algorithms.AES(key), _CTR).encryptor()
            for block, words, octets, zeros in steps:
                encryptor.update_into(zeros, octets)
                add(block, words, out=block)


def seal(key: bytes, plaintext: bytes, associated: bytes) -> bytes:
    """Return `plaintext` sealed with AES-256-GCM under `key`, which is used for this once."""
    return AESGCM(key).encrypt(_NONCE, plaintext, associated)


def unseal(key: bytes, ciphertext: bytes, associated: bytes) -> bytes:
    """Return what was sealed. Raises PeerError when it was altered or meant for another."""
    try:
        return AESGCM(key).decrypt(_NONCE, ciphertext, associated)
    except InvalidTag:
        raise PeerError(
            "a sealed share was altered on its way, or is not for this device", rule=Rule.PARCEL_SEAL
        ) from None
