"""What the lines and columns of documents are called, in English and in Chinese, from `labels.toml`."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources

from covey_consent.documents.document import Blank, Column, Fact, Value, Words


class Labels:
    """The labels of one document, by key."""

    def __init__(self, document: str) -> None:
        self._words = _load()[document]

    def fact(self, key: str, value: Value, note: str = "") -> Fact:
        """Return a line that is called as its key says."""
        return Fact(key, self._of(key), value, note)

    def blank(self, key: str, note: str = "") -> Fact:
        """Return a line that the officer fills in, asking what the third of its labels says."""
        return Fact(key, self._of(key), Blank(self._words[key][2]), note)

    def columns(self, *keys: str) -> tuple[Column, ...]:
        """Return columns that are called as their keys say."""
        return tuple(Column(key, self._of(key)) for key in keys)

    def _of(self, key: str) -> Words:
        return Words(*self._words[key][:2])


@functools.cache
def _load() -> Mapping[str, Mapping[str, Sequence[str]]]:
    text = resources.files("covey_consent.documents").joinpath("labels.toml").read_text("utf-8")
    return tomllib.loads(text)
