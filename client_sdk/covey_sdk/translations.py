"""What the phone tells its owner, in English and Chinese, from translations.json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import resources


def translate(phrase: str, **words: str | Sequence[str]) -> tuple[str, str]:
    """Return a phrase in English and Chinese; a word that is not the same in both is given as a pair."""
    english, chinese = (
        _PHRASES[phrase][language].format(
            **{name: word if isinstance(word, str) else word[place] for name, word in words.items()}
        )
        for place, language in enumerate(("en", "zh"))
    )
    return english, chinese


_PHRASES: Mapping[str, Mapping[str, str]] = json.loads(
    resources.files(__package__).joinpath("translations.json").read_text("utf-8")
)
