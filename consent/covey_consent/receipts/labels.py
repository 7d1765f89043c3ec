"""The labels of receipts and of printed certificates, by language, from their TOML files."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Any

FIRST = "en"


def labels_in(language: str) -> Mapping[str, Any]:
    """Return a receipt's labels in the language, in English where it has none."""
    return _load()[supported_language(language)]


def supported_language(language: str) -> str:
    """Return the language that `labels_in` answers in."""
    return language if language in _load() else FIRST


def certificate_labels() -> Mapping[str, Any]:
    """Return the labels of a printed certificate, by language."""
    return _load("certificate.toml")


@functools.cache
def _load(file: str = "labels.toml") -> Mapping[str, Mapping[str, Any]]:
    return tomllib.loads(resources.files(__package__).joinpath(file).read_text("utf-8"))
