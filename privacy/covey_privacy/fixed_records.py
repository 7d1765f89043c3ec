"""Records: values of one size, laid end to end in one byte string, numbers big-endian.

What a round sends by the thousand, such as the leaves of a set, is as long for a high number as for a low
one, and is read in one pass.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import starmap
from operator import attrgetter
from typing import Any, TypeGuard, get_args, get_type_hints

from covey_privacy.errors import MisuseError
from covey_privacy.field_types import U32, U64, Size

_NUMBERS = {U32: "I", U64: "Q"}


@dataclass(frozen=True, slots=True)
class Layout:
    """How values of one kind lie in bytes: `apart` gives the fields of a value, `make` a value of fields."""

    fields: struct.Struct
    apart: Callable[[Any], tuple[Any, ...]]
    make: Callable[..., Any]

    @property
    def size(self) -> int:
        """Bytes of one value."""
        return self.fields.size

    def pack(self, values: Iterable[Any]) -> bytes:
        """Return the values end to end. Raises MisuseError for one that is not of this size."""
        return b"".join(map(self.pack_one, values))

    def pack_one(self, value: Any) -> bytes:
        """Return one value. Raises MisuseError when it is not of this size."""
        fields = self.apart(value)
        try:
            packed = self.fields.pack(*fields)
        except struct.error as error:
            raise MisuseError(f"this is no record of {self.size} bytes: {error}") from None
        # struct cuts and pads what has another length.
        if self.fields.unpack(packed) != fields:
            raise MisuseError(f"this is no record of {self.size} bytes: a field is too short or too long")
        return packed

    def unpack(self, data: bytes) -> Iterator[Any]:
        """Return the values in `data`, whose length is a multiple of `size`."""
        return starmap(self.make, self.fields.iter_unpack(data))


def is_message(hint: Any) -> TypeGuard[type]:
    """Say whether a type is a dataclass: what has fields of its own."""
    return isinstance(hint, type) and dataclasses.is_dataclass(hint)


@cache
def layout(hint: Any) -> Layout:
    """Return the layout of U32, U64, bytes of one `Size`, or a dataclass of these and of such dataclasses.

    Raises TypeError when the type has no fixed size.
    """
    if is_message(hint):
        return _of_class(hint)
    return Layout(struct.Struct(">" + _format(hint)), lambda value: (value,), lambda value: value)


def _of_class(cls: type) -> Layout:
    hints = get_type_hints(cls, include_extras=True)
    names = [field.name for field in dataclasses.fields(cls)]
    parts = [(place, layout(hints[n])) for place, n in enumerate(names) if is_message(hints[n])]
    whole = struct.Struct(">" + "".join(_format(hints[name]) for name in names))
    take = attrgetter(*names) if len(names) > 1 else lambda value: (getattr(value, names[0]),)
    if not parts:
        return Layout(whole, take, cls)

    def apart(value: Any) -> tuple[Any, ...]:
        fields = list(take(value))
        for place, part in parts:
            fields[place] = part.pack_one(fields[place])
        return tuple(fields)

    def make(*fields: Any) -> Any:
        values = list(fields)
        for place, part in parts:
            values[place] = next(part.unpack(values[place]))
        return cls(*values)

    return Layout(whole, apart, make)


def _format(hint: Any) -> str:
    if is_message(hint):
        return f"{layout(hint).size}s"
    if hint in _NUMBERS:
        return _NUMBERS[hint]
    cls, *bounds = get_args(hint) or (hint,)
    if cls is bytes and len(bounds) == 1 and isinstance(bounds[0], Size) and bounds[0].most is None:
        return f"{bounds[0].least}s"
    raise TypeError(f"{hint} has no fixed size")
