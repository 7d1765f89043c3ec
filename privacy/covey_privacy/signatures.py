"""Signatures, and messages that carry one.

Ed25519 (RFC 8032) keys are their 32 raw bytes; an RSA key that signs tickets (RFC 9474) is its DER
SubjectPublicKeyInfo. `verify` tells them apart by length, so whoever checks signatures needs one function,
and a simulation can pass one that remembers what it has checked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from covey_privacy import blind_rsa, wire
from covey_privacy.errors import MisuseError, PeerError
from covey_privacy.protocol_rules import Rule

T = TypeVar("T")

DOCUMENT_LIMIT = 32 * 2**20
"""No signed document has more bytes than this, its signature included: neither to sign nor to read.

It holds 100,000 items with 64 factors each as 32-bit floats (26 MB) and their names, and is half of what any
message may have (`wire.MESSAGE_LIMIT`), so that a document fits into a message together with others.
"""

Verify = Callable[[bytes, bytes, bytes], bool]
"""`verify(key, message, signature)`: whether the signature is good."""


def verify(key: bytes, message: bytes, signature: bytes) -> bool:
    """Say whether `signature` is `key`'s over `message`; keys of other than 32 bytes are RSA."""
    if len(key) != 32:
        return blind_rsa.verify(key, message, signature)
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


class SigningKey:
    """An Ed25519 key pair; `public` is the 32 raw bytes."""

    def __init__(self, secret: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(secret)
        self.public = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    @property
    def secret(self) -> bytes:
        """The 32 bytes that make this key again."""
        return self._key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature over `message`."""
        return self._key.sign(message)


@dataclass(frozen=True, slots=True)
class Signed:
    """A message's bytes with a signature over `context` and those bytes."""

    body: Annotated[bytes, wire.Size(1, DOCUMENT_LIMIT)]
    signature: wire.Signature

    @property
    def digest(self) -> bytes:
        """SHA-256 of the body: the name by which others refer to the message."""
        return hashlib.sha256(self.body).digest()


def sign(context: str, message: Any, key: SigningKey) -> bytes:
    """Return the bytes of a `Signed` that holds `message` for the given context.

    Raises MisuseError when they would be more than `DOCUMENT_LIMIT`, which every reader refuses.
    """
    body = wire.encode(message)
    signed = wire.encode(Signed(body, key.sign(to_sign(context, body))))
    if len(signed) > DOCUMENT_LIMIT:
        raise MisuseError(
            f"a signed {type(message).__name__} of {len(signed)} bytes would be refused by everyone; "
            f"at most {DOCUMENT_LIMIT} are taken: publish fewer items, columns or figures"
        )
    return signed


def sign_checked(context: str, message: Any, key: SigningKey) -> bytes:
    """Return what `sign` does. Raises MisuseError also when a field is outside the bounds of its class."""
    try:
        wire.decode(type(message), wire.encode(message))
    except PeerError as error:
        raise MisuseError(f"this {type(message).__name__} would be refused by everyone: {error}") from None
    return sign(context, message, key)


def open_signed(
    cls: type[T], context: str, data: bytes, key: bytes, verify: Verify = verify, signer: str = "signer"
) -> T:
    """Return the message in a `Signed`'s bytes once its signature holds.

    Raises PeerError when the bytes are malformed or `key` did not sign them for `context`.
    """
    envelope = wire.decode(Signed, data, DOCUMENT_LIMIT)
    if not verify(key, to_sign(context, envelope.body), envelope.signature):
        raise PeerError(
            f"this {cls.__name__} is not signed by the {signer}; nothing in it is used",
            rule=Rule.DOCUMENT_SIGNATURE,
        )
    return wire.decode(cls, envelope.body)


def digest_of(data: bytes) -> bytes:
    """Return the digest of the body inside a `Signed`'s bytes."""
    return wire.decode(Signed, data, DOCUMENT_LIMIT).digest


def to_sign(context: str, body: bytes) -> bytes:
    """Return what is signed: no signature for one context can stand in another."""
    return b"covey/1/" + context.encode() + b"\0" + body
