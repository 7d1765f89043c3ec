"""The articles that software can show something about, from `law.toml`."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True, slots=True)
class Law:
    """`shows`: what has to be shown for each article. `awaiting`: the articles whose tests are to come."""

    laws: Mapping[str, str]
    shows: Mapping[str, str]
    awaiting: frozenset[str]


@functools.cache
def load() -> Law:
    """Return the table."""
    table = tomllib.loads(resources.files("covey_consent.law").joinpath("law.toml").read_text("utf-8"))
    return Law(table["law"], table["shows"], frozenset(table["awaiting"]))
