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
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeVar, Union, get_args, get_origin, get_type_hints

import cbor2

from covey_privacy.errors import PeerError

T = TypeVar("T")
Read = Callable[[Any], Any]

_SCALARS = frozenset({bytes, str, int})
_ATOMS = _SCALARS | {float, bool, type(None)}
"""What CBOR takes as it is."""

MESSAGE_LIMIT = 64 * 2**20
"""No message may be longer than this many bytes, whatever it claims to be."""


@dataclass(frozen=True, slots=True)
class Size:
    """Length bounds of bytes, text (in characters) or a tuple; one argument means exactly that."""

    least: int
    most: int | None = None
    measured: ClassVar[tuple[type, ...]] = (bytes, str, list)

    def admits(self, value: Any) -> bool:
        """Say whether the value's length is in bounds."""
        return self.least <= len(value) <= (self.least if self.most is None else self.most)

    def describe(self, value: Any) -> str:
        """Say what is wrong with a value that is not admitted."""
        return f"its length is {len(value)}, and {self.least}..{self.most or self.least} is allowed"


@dataclass(frozen=True, slots=True)
class Range:
    """Inclusive bounds of a number."""

    least: float
    most: float
    measured: ClassVar[tuple[type, ...]] = (int, float)

    def admits(self, value: Any) -> bool:
        """Say whether the number is in bounds; NaN is not."""
        return bool(self.least <= value <= self.most)

    def describe(self, value: Any) -> str:
        """Say what is wrong with a number that is not admitted."""
        return f"it is {value}, and {self.least}..{self.most} is allowed"


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
    message: T = _reader(cls)(value)  # type: ignore[arg-type]  # classes are hashable; mypy doubts type[T]
    return message


def _plain(value: Any) -> Any:
    names = _names(type(value))  # type: ignore[arg-type]  # as above
    if names is None and not isinstance(value, tuple):
        return value
    items = value if names is None else [getattr(value, name) for name in names]
    return [item if type(item) in _ATOMS else _plain(item) for item in items]


@functools.cache
def _names(cls: type) -> tuple[str, ...] | None:
    if not dataclasses.is_dataclass(cls):
        return None
    return tuple(field.name for field in dataclasses.fields(cls))


@functools.cache
def _reader(cls: type) -> Read:
    """Return what makes a `cls` of its plain array; bounds and types are looked up once."""
    hints = get_type_hints(cls, include_extras=True)
    readers = [_typed(hints[name], f"{cls.__name__}.{name}") for name in _names(cls) or ()]

    def read(value: Any) -> Any:
        if type(value) is not list or len(value) != len(readers):
            raise PeerError(f"a {cls.__name__} is an array of {len(readers)} fields; something else arrived")
        return cls(*[reader(item) for reader, item in zip(readers, value, strict=True)])

    return read


def _typed(hint: Any, where: str) -> Read:
    """Return what checks and converts a field of type `hint`."""
    if get_origin(hint) is Annotated:
        hint, *bounds = get_args(hint)
        careful = _bounded(_typed(hint, where), bounds, where)
        return _quick(hint, bounds[0], careful) if hint in _SCALARS and len(bounds) == 1 else careful
    if get_origin(hint) in (Union, types.UnionType):
        read = _typed(get_args(hint)[0], where)
        return lambda value: None if value is None else read(value)
    if get_origin(hint) is tuple:
        item = _typed(get_args(hint)[0], where)
        return _exact(list, where, lambda value: tuple([item(each) for each in value]))
    if dataclasses.is_dataclass(hint):
        return _reader(hint)  # type: ignore[arg-type]  # is_dataclass narrows to an instance or a class
    if hint is float:
        return _exact(float, where, lambda value: value, int)
    return _exact(hint, where, lambda value: value)


def _quick(cls: type, bound: Size | Range, careful: Read) -> Read:
    """Return what passes a sound value at once; `careful` says what is wrong with any other."""
    admits = bound.admits

    def read(value: Any) -> Any:
        return value if type(value) is cls and admits(value) else careful(value)

    return read


def _exact(cls: type, where: str, convert: Read, also: type | None = None) -> Read:
    def read(value: Any) -> Any:
        if type(value) is cls:
            return convert(value)
        if also is not None and type(value) is also:
            return cls(value)
        raise PeerError(f"{where} is to be {cls.__name__}; a {type(value).__name__} arrived")

    return read


def _bounded(read: Read, bounds: list[Size | Range], where: str) -> Read:
    """Return `read` behind the bounds; they come first, so that nothing oversize is walked through."""
    for bound in bounds:
        read = _within(bound, read, where)
    return read


def _within(bound: Size | Range, read: Read, where: str) -> Read:
    def check(value: Any) -> Any:
        if isinstance(value, bound.measured) and not bound.admits(value):
            raise PeerError(f"{where} is out of bounds: {bound.describe(value)}")
        return read(value)

    return check
