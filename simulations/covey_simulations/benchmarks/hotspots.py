"""Hot spots: the functions in which profiled code spent most of its time."""

from __future__ import annotations

import cProfile
import pstats
import re
from pathlib import Path
from typing import Any

MOST = 16

Place = tuple[str, int, str]

_METHOD = re.compile(r"method '(\w+)' of '(?:\w+\.)*(\w+)' objects")


def hottest(profile: cProfile.Profile) -> list[dict[str, Any]]:
    """Return the functions of a profile with the most own seconds."""
    stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]  # the documented mapping
    first = sorted(stats.items(), key=lambda entry: -entry[1][2])[:MOST]
    return [
        {"function": _name(place), "calls": calls, "seconds": own} for place, (_, calls, own, _, _) in first
    ]


def _name(place: Place) -> str:
    """Return a function's name with its module's, or its class's where it is not written in Python."""
    path, _, name = place
    if path != "~":
        return f"{Path(path).stem}.{name}"
    method = _METHOD.search(name)
    return f"{method[2]}.{method[1]}" if method else name.strip("<>{}").removeprefix("built-in method ")
