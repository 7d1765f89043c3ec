"""Phrases: what the phone tells its owner, in English and Chinese, from translations.json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import resources


def said(phrase: str, **words: Sequence[str]) -> tuple[str, str]:
    """Return a phrase in English and Chinese; each word is given in both."""
    texts = (_PHRASES[phrase]["en"], _PHRASES[phrase]["zh"])
    english, chinese = (
        text.format(**{name: both[ix] for name, both in words.items()}) for ix, text in enumerate(texts)
    )
    return english, chinese


_PHRASES: Mapping[str, Mapping[str, str]] = json.loads(
    resources.files(__package__).joinpath("translations.json").read_text("utf-8")
)
