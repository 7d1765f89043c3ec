"""An app's own annotations need nothing but `covey_sdk`, and importing it does not import httpx."""

import dataclasses
import subprocess
import sys
import types
import typing
from collections.abc import Iterator

import covey_sdk
from covey_sdk import Device, events

ALIASES = ("Event", "Facts")
"""Type aliases: what annotations resolve to does not name them."""
PLAIN = ("builtins", "typing", "types", "collections.abc", "datetime", "pathlib", "os")
"""Modules of Python itself, whose types every app has."""


def named(annotation: object) -> Iterator[type]:
    """Yield the classes that an annotation names."""
    for argument in typing.get_args(annotation):
        yield from named(argument)
    origin = typing.get_origin(annotation) or annotation
    if isinstance(origin, type) and origin is not types.UnionType:
        yield origin


def signatures() -> Iterator[object]:
    """Yield each annotation of a public method, class method or property of Device."""
    for name, member in vars(Device).items():
        if name.startswith("_"):
            continue
        function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        yield from typing.get_type_hints(function).values()


def public_types() -> set[type]:
    """Return the classes in Device's signatures, and in the fields of those that hold data."""
    found: set[type] = set()
    waiting = [each for annotation in signatures() for each in named(annotation)]
    while waiting:
        one = waiting.pop()
        if one not in found and one.__module__ not in PLAIN:
            found.add(one)
            if dataclasses.is_dataclass(one):
                hints = typing.get_type_hints(one).values()
                waiting.extend(each for hint in hints for each in named(hint))
    return found


def test_types_are_exported():
    missing = {
        each.__name__ for each in public_types() if getattr(covey_sdk, each.__name__, None) is not each
    }
    assert missing == set()
    expected = {
        "Tag",
        "Recommendation",
        "Explanation",
        "LedgerEntry",
        "OrderPaid",
        "OrderLine",
        "TagEvidence",
        "ConsentGate",
        "Choice",
    }
    assert expected <= {each.__name__ for each in public_types()}


def test_each_exported_name_is_listed_and_is_there():
    assert all(hasattr(covey_sdk, name) for name in covey_sdk.__all__)
    assert list(covey_sdk.__all__) == sorted(covey_sdk.__all__)
    public = {each.__name__ for each in public_types()} | set(ALIASES)
    assert public <= set(covey_sdk.__all__)
    assert covey_sdk.Event is events.Event


def test_httpx_is_imported_with_the_first_request():
    code = "import sys, covey_sdk; print('httpx' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "False"
