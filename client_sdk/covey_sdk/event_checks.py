"""Checks that an event's values pass. Each takes the value and the field's name, and raises EventError."""

from __future__ import annotations

import json
import re
from importlib import resources
from typing import Any

from covey_sdk.errors import EventError

MOST_CHARACTERS = 128
MOST_MILLISECONDS = 2**42
MOST_OFFSET_MINUTES = 14 * 60
MOST_BITS_SHOWN = 256
"""Python refuses to write out integers of some thousand digits."""

SOURCES = frozenset({"app", "mini", "pos_qr", "live", "group", "web"})

CURRENCIES = frozenset(
    json.loads(resources.files(__package__).joinpath("currencies.json").read_text("utf-8"))["codes"].split()
)
"""The currencies of ISO 4217 in which people pay."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def text(value: Any, where: str) -> None:
    """Require text of 1 to 128 characters: not only blanks, no control characters, no lone surrogates.

    A NUL would make two names one where names are joined by it; a surrogate has no bytes in UTF-8.
    """
    if type(value) is not str or not 0 < len(value) <= MOST_CHARACTERS:
        raise wrong(where, f"text of 1 to {MOST_CHARACTERS} characters", value)
    if value.isspace() or not value.isprintable():
        _require_sound(value, where)


def _require_sound(value: str, where: str) -> None:
    """Raise EventError for what `isprintable` doubts, unless it only joins letters, as in emoji."""
    if _CONTROL.search(value):
        raise wrong(where, "text without control characters", value)
    if _SURROGATE.search(value):
        raise wrong(where, "text without lone surrogates", value)
    if not any(char.isprintable() and not char.isspace() for char in value):
        raise wrong(where, "text that shows something", value)


def category(value: Any, where: str) -> None:
    """Require text that is more than blanks and underscores, which are the same in a category."""
    text(value, where)
    if not value.replace("_", "").strip():
        raise wrong(where, "a category that shows something", value)


def integer(value: Any, where: str, least: int, most: int) -> None:
    """Require an integer from `least` to `most`; a bool is none."""
    if type(value) is not int or not least <= value <= most:
        raise wrong(where, f"an integer from {least} to {most}", value)


def flag(value: Any, where: str) -> None:
    """Require a bool."""
    if type(value) is not bool:
        raise wrong(where, "true or false", value)


def items(value: Any, where: str, most: int, least: int = 0) -> None:
    """Require a tuple of `least` to `most` items."""
    if type(value) is not tuple or not least <= len(value) <= most:
        raise wrong(where, f"a list of {least} to {most} items", value)


def currency(value: Any, where: str) -> None:
    """Require a currency of ISO 4217."""
    if type(value) is not str or value not in CURRENCIES:
        raise wrong(where, "three capital letters of ISO 4217, such as CNY", value)


def one_of(value: Any, where: str, known: frozenset[str]) -> None:
    """Require one of the `known` words."""
    if type(value) is not str or value not in known:
        raise wrong(where, f"one of {', '.join(sorted(known))}", value)


def data(value: Any, where: str) -> None:
    """Require bytes."""
    if type(value) is not bytes:
        raise wrong(where, "bytes", value)


def moment(at_ms: Any, tz_offset_min: Any, name: str) -> None:
    """Require UTC milliseconds and a zone's offset in minutes, of the event `name`."""
    integer(at_ms, f"{name}.at_ms", 0, MOST_MILLISECONDS)
    integer(tz_offset_min, f"{name}.tz_offset_min", -MOST_OFFSET_MINUTES, MOST_OFFSET_MINUTES)


def source(value: Any, where: str) -> None:
    """Require one of the ways on which events come."""
    one_of(value, where, SOURCES)


def wrong(where: str, expected: str, value: Any) -> EventError:
    """Return the error that says what `where` is and what was expected."""
    return EventError(f"{where} is {shown(value)}; {expected} was expected")


def shown(value: Any) -> str:
    """Return a value as an error may show it: short, on one line, whatever it is."""
    if type(value) is str:
        return repr(value[:MOST_CHARACTERS])[:MOST_CHARACTERS]
    if type(value) is int and value.bit_length() > MOST_BITS_SHOWN:
        return f"an integer of {value.bit_length()} bits"
    if value is None or type(value) in (bool, int, float):
        return repr(value)
    return f"a {type(value).__name__}"[:MOST_CHARACTERS]
