"""The words of exports and certificates, from `labels.toml`: English and Chinese."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from importlib import resources
from string import Template

Paragraphs = str | list[str]


@functools.cache
def _load() -> Mapping[str, Mapping[str, Mapping[str, Paragraphs]]]:
    file = resources.files("covey_consent") / "rights" / "labels.toml"
    return tomllib.loads(file.read_text("utf-8"))


def say(document: str, **facts: object) -> dict[str, dict[str, Paragraphs]]:
    """Return a document's paragraphs by language and name, its blanks filled in with the facts."""
    return {
        language: {name: _filled(text, facts) for name, text in documents[document].items()}
        for language, documents in _load().items()
    }


def _filled(text: Paragraphs, facts: Mapping[str, object]) -> Paragraphs:
    if isinstance(text, list):
        return [Template(one).substitute(facts) for one in text]
    return Template(text).substitute(facts)
