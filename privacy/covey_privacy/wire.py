"""Messages as bytes: deterministic CBOR (RFC 8949, section 4.2), bounded and typed.

A message is a frozen dataclass; on the wire it is the array of its fields in order. `Size` and `Range`
annotations bound what a peer may send; a tuple of `Records` is one byte string:

    @dataclass(frozen=True, slots=True)
    class Roll:
        index: U32
        key: Annotated[bytes, Size(32)]
        names: Annotated[tuple[Name, ...], Size(0, 16)]
        shares: Annotated[tuple[Share, ...], Records(0, 4096)]
"""

from __future__ import annotations

import dataclasses
import functools
import io
import types
from collections.abc import Callable
from operator import attrgetter
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

import cbor2

from covey_privacy.errors import PeerError
from covey_privacy.field_types import U32, U64, Bytes32, Name, Names, Range, Records, Signature, Size, Text
from covey_privacy.fixed_records import is_message, layout
from covey_privacy.protocol_rules import Rule

__all__ = [
    "MESSAGE_LIMIT", "U32", "U64", "Bytes32", "Name", "Names", "Range", "Records", "Signature", "Size",
    "Text", "decode", "encode",
]  # fmt: skip

T = TypeVar("T")
Read = Callable[[Any], Any]
Write = Callable[[Any], Any]

_SCALARS = frozenset({bytes, str, int})

MESSAGE_LIMIT = 64 * 2**20
"""No message may be longer than this many bytes, whatever it claims to be."""


def encode(message: Any) -> bytes:
    """Return the message's deterministic bytes."""
    write = _writer(type(message))  # type: ignore[arg-type]  # classes are hashable; mypy doubts type[Any]
    return cbor2.dumps(write(message), canonical=True)


def decode(cls: type[T], data: bytes, limit: int = MESSAGE_LIMIT) -> T:
    """Return the message of class `cls` in `data`.

    Raises PeerError when the bytes are not exactly one such message within its bounds.
    """
    if len(data) > limit:
        raise PeerError(
            f"a {cls.__name__} of {len(data)} bytes arrived; at most {limit} are taken",
            rule=Rule.MESSAGE_FORM,
        )
    try:
        # Read in one go: a long byte string is copied once.
        decoder = cbor2.CBORDecoder(io.BytesIO(data), read_size=len(data) or 1)
        value = decoder.decode()
    except (cbor2.CBORError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise PeerError(
            f"a {cls.__name__} was expected, but the bytes are not CBOR: {error}", rule=Rule.MESSAGE_FORM
        ) from None
    if not _is_at_end(decoder):
        raise PeerError(f"stray bytes follow a {cls.__name__}", rule=Rule.MESSAGE_FORM)
    message: T = _reader(cls)(value)  # type: ignore[arg-type]  # classes are hashable; as above
    return message


def _is_at_end(decoder: cbor2.CBORDecoder) -> bool:
    """Say whether nothing is left. The stream's position would not tell: decoders of cbor2 5 read ahead."""
    try:
        decoder.read(1)
    except cbor2.CBORDecodeEOF:
        return True
    return False


@functools.cache
def _writer(cls: type) -> Write:
    """Return what makes the plain array of a `cls`; its fields are looked up once."""
    hints = get_type_hints(cls, include_extras=True)
    names = [field.name for field in dataclasses.fields(cls)]
    take = attrgetter(*names) if len(names) > 1 else lambda message: (getattr(message, names[0]),)
    written = [(place, write) for place, name in enumerate(names) if (write := _written(hints[name]))]

    def plain(message: Any) -> Any:
        values = list(take(message))
        for place, write in written:
            values[place] = write(values[place])
        return values

    return plain


def _written(hint: Any) -> Write | None:
    """Return what makes a field plain, None where CBOR takes it as it is."""
    if get_origin(hint) is Annotated:
        hint, *bounds = get_args(hint)
        if any(isinstance(bound, Records) for bound in bounds):
            return layout(get_args(hint)[0]).pack
        return _written(hint)
    if get_origin(hint) in (Union, types.UnionType):
        write = _written(get_args(hint)[0])
        return write and (lambda value: None if value is None else write(value))
    if get_origin(hint) is tuple:
        item = _written(get_args(hint)[0])
        return (lambda values: [item(value) for value in values]) if item else list
    return _writer(hint) if is_message(hint) else None


@functools.cache
def _reader(cls: type) -> Read:
    """Return what makes a `cls` of its plain array; bounds and types are looked up once."""
    hints = get_type_hints(cls, include_extras=True)
    names = [field.name for field in dataclasses.fields(cls)]
    readers = [_typed(hints[name], f"{cls.__name__}.{name}") for name in names]

    def read(value: Any) -> Any:
        if type(value) is not list or len(value) != len(readers):
            raise PeerError(
                f"a {cls.__name__} is an array of {len(readers)} fields; something else arrived",
                rule=Rule.MESSAGE_FORM,
            )
        return cls(*[reader(item) for reader, item in zip(readers, value, strict=True)])

    return read


def _typed(hint: Any, where: str) -> Read:
    """Return what checks and converts a field of type `hint`."""
    if get_origin(hint) is Annotated:
        hint, *bounds = get_args(hint)
        if isinstance(bounds[0], Records):
            return _records(get_args(hint)[0], bounds[0], where)
        careful = _bounded(_typed(hint, where), bounds, where)
        return _quick(hint, bounds[0], careful) if hint in _SCALARS and len(bounds) == 1 else careful
    if get_origin(hint) in (Union, types.UnionType):
        read = _typed(get_args(hint)[0], where)
        return lambda value: None if value is None else read(value)
    if get_origin(hint) is tuple:
        item = _typed(get_args(hint)[0], where)
        return _exact(list, where, lambda value: tuple([item(each) for each in value]))
    if is_message(hint):
        return _reader(hint)
    if hint is float:
        return _exact(float, where, lambda value: value, int)
    return _exact(hint, where, lambda value: value)


def _records(hint: Any, bound: Records, where: str) -> Read:
    size, unpack = layout(hint).size, layout(hint).unpack

    def read(value: Any) -> Any:
        count, rest = divmod(len(value), size)
        if rest or not bound.least <= count <= bound.most:
            allowed = f"{bound.least}..{bound.most} records of {size} bytes"
            raise PeerError(f"{where} is to be {allowed}; {len(value)} bytes arrived", rule=Rule.MESSAGE_FORM)
        return tuple(unpack(value))

    return _exact(bytes, where, read)


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
        raise PeerError(
            f"{where} is to be {cls.__name__}; a {type(value).__name__} arrived", rule=Rule.MESSAGE_FORM
        )

    return read


def _bounded(read: Read, bounds: list[Size | Range], where: str) -> Read:
    """Return `read` behind the bounds; they come first, so that nothing oversize is walked through."""
    for bound in bounds:
        read = _within(bound, read, where)
    return read


def _within(bound: Size | Range, read: Read, where: str) -> Read:
    def check(value: Any) -> Any:
        if isinstance(value, bound.measured) and not bound.admits(value):
            raise PeerError(f"{where} is out of bounds: {bound.describe(value)}", rule=Rule.MESSAGE_FORM)
        return read(value)

    return check
