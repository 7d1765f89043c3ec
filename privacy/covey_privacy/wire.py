"""Messages as bytes: deterministic CBOR (RFC 8949, section 4.2), bounded and typed.

A message is a frozen dataclass; on the wire it is the array of its fields in order. `Size` and `Range`
annotations bound what a peer may send:

    @dataclass(frozen=True, slots=True)
    class Advert:
        index: U32
        key: Annotated[bytes, Size(32)]
        names: Annotated[tuple[Name, ...], Size(0, 16)]
"""

from __future__ import annotations

import dataclasses
import functools
import io
import types
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

import cbor2

from covey_privacy.errors import PeerError

T = TypeVar("T")

MESSAGE_LIMIT = 64 * 2**20
"""No message may be longer than this many bytes, whatever it claims to be."""


@dataclass(frozen=True, slots=True)
class Size:
    """Length bounds of bytes, text (in characters) or a tuple; one argument means exactly that."""

    least: int
    most: int | None = None

    def admits(self, length: int) -> bool:
        """Say whether a value of this length is in bounds."""
        return self.least <= length <= (self.least if self.most is None else self.most)


@dataclass(frozen=True, slots=True)
class Range:
    """Inclusive bounds of a number."""

    least: float
    most: float


U32 = Annotated[int, Range(0, 2**32 - 1)]
U64 = Annotated[int, Range(0, 2**64 - 1)]
Bytes32 = Annotated[bytes, Size(32)]
Signature = Annotated[bytes, Size(64)]
Name = Annotated[str, Size(1, 64)]
Names = Annotated[tuple[Name, ...], Size(0, 64)]
Text = Annotated[str, Size(0, 4096)]


def encode(message: Any) -> bytes:
    """Return the message's deterministic bytes."""
    return cbor2.dumps(_plain(message), canonical=True)


def decode(cls: type[T], data: bytes, limit: int = MESSAGE_LIMIT) -> T:
    """Return the message of class `cls` in `data`.

    Raises PeerError when the bytes are not exactly one such message within its bounds.
    """
    if len(data) > limit:
        raise PeerError(f"a {cls.__name__} of {len(data)} bytes arrived; at most {limit} are taken")
    stream = io.BytesIO(data)
    try:
        value = cbor2.CBORDecoder(stream).decode()
    except (cbor2.CBORError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise PeerError(f"a {cls.__name__} was expected, but the bytes are not CBOR: {error}") from None
    if stream.tell() != len(data):
        raise PeerError(f"{len(data) - stream.tell()} stray bytes follow a {cls.__name__}")
    message: T = _message(cls, value)
    return message


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return [_plain(getattr(value, field.name)) for field in dataclasses.fields(value)]
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


@functools.cache
def _fields(cls: type) -> tuple[tuple[str, Any], ...]:
    hints = get_type_hints(cls, include_extras=True)
    return tuple((field.name, hints[field.name]) for field in dataclasses.fields(cls))


def _message(cls: type, value: Any) -> Any:
    fields = _fields(cls)
    if not isinstance(value, list) or len(value) != len(fields):
        raise PeerError(f"a {cls.__name__} is an array of {len(fields)} fields; something else arrived")
    named = zip(fields, value, strict=True)
    return cls(*(_typed(hint, item, f"{cls.__name__}.{name}") for (name, hint), item in named))


def _typed(hint: Any, value: Any, where: str) -> Any:
    if get_origin(hint) is Annotated:
        hint, *bounds = get_args(hint)
    else:
        bounds = []
    for bound in bounds:
        _check(bound, value, where)
    if get_origin(hint) in (Union, types.UnionType):
        hint, _none = get_args(hint)
        return None if value is None else _typed(hint, value, where)
    if get_origin(hint) is tuple and isinstance(value, list):
        return tuple(_typed(get_args(hint)[0], item, where) for item in value)
    if dataclasses.is_dataclass(hint):
        return _message(hint, value)  # type: ignore[arg-type]  # is_dataclass narrows to an instance or a class
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise PeerError(f"{where} is to be {hint.__name__}; a {type(value).__name__} arrived")
    return value


def _check(bound: Size | Range, value: Any, where: str) -> None:
    if isinstance(bound, Size):
        if isinstance(value, bytes | str | list) and not bound.admits(len(value)):
            raise PeerError(f"{where} has length {len(value)}; {bound} is allowed")
    elif isinstance(value, int | float) and not bound.least <= value <= bound.most:
        raise PeerError(f"{where} is {value}, outside {bound.least}..{bound.most}")
