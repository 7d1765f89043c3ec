"""The words of receipts, by language, from `labels.toml`."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Any

FIRST = "en"


def of(language: str) -> Mapping[str, Any]:
    """Return the words in `language`, in English where it has none."""
    table = _load()
    return table.get(language, table[FIRST])


def language(asked: str) -> str:
    """Return the language that `of` answers in."""
    return asked if asked in _load() else FIRST


@functools.cache
def _load() -> Mapping[str, Mapping[str, Any]]:
    return tomllib.loads(resources.files(__package__).joinpath("labels.toml").read_text("utf-8"))
