"""What a platform says about its recommender (DSA Art. 27), with the option without profiling (Art. 38)."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from importlib import resources
from string import Template
from typing import Any

from covey_consent.documents.document import Document, Section, Words
from covey_consent.documents.facts import Facts
from covey_consent.documents.labels import Labels
from covey_models.repurchase import HALF_LIFE

WORDS = Labels("dsa")


@functools.cache
def load() -> Mapping[str, Any]:
    """Return the texts by language."""
    text = resources.files("covey_consent.documents").joinpath("recommender.toml").read_text("utf-8")
    return tomllib.loads(text)


def dsa(facts: Facts) -> Document:
    """Return the text in English and in Chinese, for the shop's terms."""
    return Document(
        "dsa",
        Words("How recommendations are ordered", "推荐排序说明"),
        "DSA Art. 27 and 38; PIPL Art. 24",
        facts,
        tuple(_text(facts, language) for language in ("en", "zh")),
    )


def _text(facts: Facts, language: str) -> Section:
    words = {
        "shop": facts.controller.name,
        "half_life": f"{HALF_LIFE:g}",
        "rights": facts.controller.rights_url,
    }
    said = load()[language]
    heading = Template(said["heading"]).substitute(words)
    text = tuple(Template(each).substitute(words) for each in said["text"])
    called = Words(heading, "") if language == "en" else Words("", heading)
    return Section(called, text, (WORDS.blank("order"),), language=language)
