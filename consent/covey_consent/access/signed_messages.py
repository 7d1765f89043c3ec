"""Signed messages, decoded once the signature of the expected key is verified."""

from __future__ import annotations

from typing import TypeVar

from covey_consent.errors import DeniedError, RequestError
from covey_privacy import wire
from covey_privacy.registry_messages import Batch, Decision, Enrolment, Sync, TicketRequest
from covey_privacy.signatures import Signed, to_sign, verify

T = TypeVar("T")
FromDevice = TypeVar("FromDevice", Enrolment, Decision, Sync, TicketRequest)


def open_from(key: bytes, cls: type[T], context: str, data: bytes) -> T:
    """Return the message in a `Signed`'s bytes, signed by `key`.

    Raises PeerError when the bytes are malformed and DeniedError when the signature does not hold.
    """
    envelope = wire.decode(Signed, data)
    require_signature(key, to_sign(context, envelope.body), envelope.signature, cls.__name__)
    return wire.decode(cls, envelope.body)


def open_from_device(cls: type[FromDevice], context: str, data: bytes) -> FromDevice:
    """Return the message in a `Signed`'s bytes, signed by the device that it names."""
    envelope = wire.decode(Signed, data)
    message = wire.decode(cls, envelope.body)
    require_signature(message.device, to_sign(context, envelope.body), envelope.signature, cls.__name__)
    return message


def open_batch(cls: type[FromDevice], context: str, batch: Batch) -> list[FromDevice]:
    """Return the messages of a batch, each signed by the device that the batch names for it."""
    if len(batch.signed) != len(batch.devices):
        raise RequestError(f"the batch names {len(batch.devices)} devices for {len(batch.signed)} messages")
    opened = [open_from_device(cls, context, signed) for signed in batch.signed]
    if any(message.device != device for message, device in zip(opened, batch.devices, strict=True)):
        raise RequestError("a message in the batch is another device's than the batch says")
    return opened


def require_signature(key: bytes, message: bytes, signature: bytes, what: str) -> None:
    """Raise DeniedError unless `signature` is the key's over the message."""
    if not verify(key, message, signature):
        raise DeniedError(f"the {what} is not signed by key {key.hex()[:16]}...; nothing in it is used")
