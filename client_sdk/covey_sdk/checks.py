"""Checks that an event's values pass. Each takes the value and the field's name, and raises EventError."""

from __future__ import annotations

import re
from typing import Any

from covey_sdk.errors import EventError

MOST_CHARACTERS = 128
MOST_MILLISECONDS = 2**42
MOST_OFFSET_MINUTES = 14 * 60

SOURCES = frozenset({"app", "mini", "pos_qr", "live", "group", "web"})

_CURRENCY = re.compile(r"[A-Z]{3}\Z")


def text(value: Any, where: str) -> None:
    """Require text of 1 to 128 characters."""
    if type(value) is not str or not 0 < len(value) <= MOST_CHARACTERS:
        raise wrong(where, f"text of 1 to {MOST_CHARACTERS} characters", value)


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
    """Require an ISO 4217 code by its form."""
    if type(value) is not str or not _CURRENCY.match(value):
        raise wrong(where, "three capital letters, such as CNY", value)


def one_of(value: Any, where: str, known: frozenset[str]) -> None:
    """Require one of the `known` words."""
    if type(value) is not str or value not in known:
        raise wrong(where, f"one of {', '.join(sorted(known))}", value)


def moment(at_ms: Any, tz_offset_min: Any, name: str) -> None:
    """Require UTC milliseconds and a zone's offset in minutes, of the event `name`."""
    integer(at_ms, f"{name}.at_ms", 0, MOST_MILLISECONDS)
    integer(tz_offset_min, f"{name}.tz_offset_min", -MOST_OFFSET_MINUTES, MOST_OFFSET_MINUTES)


def source(value: Any, where: str) -> None:
    """Require one of the ways on which events come."""
    one_of(value, where, SOURCES)


def wrong(where: str, expected: str, value: Any) -> EventError:
    """Return the error that says what `where` is and what was expected."""
    shown = repr(value) if isinstance(value, int | float | str | None) else f"a {type(value).__name__}"
    return EventError(f"{where} is {shown[:MOST_CHARACTERS]}; {expected} was expected")
