"""Words that tell of health or family in the name of a category, in five languages.

The signer of a rule bundle and `covey catalogue classify` look names up here; a phone does not: it matches
categories by id alone. The lists are data (`sensitive_words.json`): words in English, Chinese, Spanish,
French and German, phrases that only look sensitive (`harmless`), and branches of public taxonomies.

An entry matches whole words without regard to case and accents, with the plural endings of its language;
`*` at either end stands for any letters. A Chinese entry matches wherever it stands in the text.

    >>> [match.kind for match in find("Pregnancy tests")]
    ['family']
    >>> find("Condominium")
    ()
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

from covey_sdk.purposes import FAMILY, HEALTH

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_TOKEN = re.compile(rf"[{_HAN}]+|[^\W\d_{_HAN}]+|\d+")
_CASE_CHANGE = re.compile(r"(?<=[a-z])(?=[A-Z])")
_HAN_GAP = re.compile(rf"(?<=[{_HAN}]) (?=[{_HAN}])")

_ENDINGS = {
    "en": "(?:s|es)?",
    "es": "(?:s|es)?",
    "fr": "(?:e|s|es|x)?",
    "de": "(?:e|n|en|er|ern|s|es|nen)?",
}
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})


@dataclass(frozen=True, slots=True)
class Match:
    """A sensitive word that was found: its kind, `health` or `family`, and the text that matched."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class _Span:
    kind: str
    start: int
    end: int

    def lies_in(self, other: _Span) -> bool:
        return (
            other.start <= self.start
            and self.end <= other.end
            and other.end - other.start > self.end - self.start
        )


def find(name: str) -> tuple[Match, ...]:
    """Return the sensitive words in a name, in their order.

    A word inside a longer match does not count: incontinence goods for adults are `health`, although the
    same word without "adult" is `family`.
    """
    text = _without_harmless(words(name))
    patterns = _patterns()
    spans = [
        _Span(kind, *found.span()) for kind in (HEALTH, FAMILY) for found in patterns[kind].finditer(text)
    ]
    spans.sort(key=lambda span: (span.start, -span.end))
    return tuple(
        Match(span.kind, text[span.start : span.end].strip())
        for span in spans
        if not any(span.lies_in(other) for other in spans)
    )


def is_reason(text: str, category: str) -> bool:
    """Say whether a text is a reason: three different words or more, or six Chinese signs, besides the id."""
    said = words(text).split()
    han = sum(len(word) for word in said if re.match(f"[{_HAN}]", word))
    real = {word for word in said if len(word) > 1 and not word.isdigit()} - set(words(category).split())
    return len(real) >= 3 or han >= 6


def branch_of(path: str) -> Match | None:
    """Return the sensitive branch of a public taxonomy that a path with ` > ` between its parts stands in."""
    place = branch_words(path)
    return next((match for begins, match in _branches() if place.startswith(begins)), None)


@lru_cache(maxsize=1)
def _branches() -> list[tuple[str, Match]]:
    """Return the sensitive branches by the words that a path in them begins with."""
    return [
        (branch_words(branch), Match(kind, branch))
        for kind, branches in _data()["branches"].items()
        for branch in branches
    ]


def branch_words(path: str) -> str:
    """Return a path as words, each part ended by ` > `; the beginning of a path is a branch that it is in."""
    return "".join(f"{words(part).strip()} > " for part in path.split(">"))


def words(name: str) -> str:
    """Return the words of a name between spaces, without case, accents and signs; Chinese in one piece."""
    cased = _CASE_CHANGE.sub(" ", unicodedata.normalize("NFKD", name))
    letters = "".join(c for c in cased.casefold() if unicodedata.category(c) not in ("Mn", "Cf"))
    joined = " ".join(_TOKEN.findall(letters.replace("œ", "oe")))
    return f" {_HAN_GAP.sub('', joined)} "


def pattern(entries: Mapping[str, Iterable[str]]) -> re.Pattern[str]:
    """Return what finds any of the entries, by language, in a text that `words` made; long entries first."""
    latin = {
        variant: _latin(variant, language)
        for language, some in entries.items()
        if language != "zh"
        for entry in some
        for variant in _variants(entry, language)
    }
    han = [words(entry).strip() for entry in entries.get("zh", ())]
    ordered = [latin[entry] for entry in sorted(latin, key=len, reverse=True)]
    return re.compile("|".join([f" (?:{'|'.join(ordered)})(?= )", *sorted(han, key=len, reverse=True)]))


def _variants(entry: str, language: str) -> tuple[str, ...]:
    """Return the entry, and in German also with ä, ö, ü written as two letters."""
    composed = unicodedata.normalize("NFC", entry)
    return tuple({composed, composed.translate(_UMLAUTS)}) if language == "de" else (composed,)


def _latin(entry: str, language: str) -> str:
    before = r"\w*" if entry.startswith("*") else ""
    if entry.endswith("*"):
        return before + words(entry).strip() + r"\w*"
    return before + " ".join(_inflected(word, language) for word in words(entry).split())


def _inflected(word: str, language: str) -> str:
    if language == "en" and word.endswith("y"):
        return f"{word[:-1]}(?:y|ys|ies)"
    return word + _ENDINGS[language]


def _without_harmless(text: str) -> str:
    return _patterns()["harmless"].sub(" |", text)


@lru_cache(maxsize=1)
def _patterns() -> Mapping[str, re.Pattern[str]]:
    return {name: pattern(_data()[name]) for name in (HEALTH, FAMILY, "harmless")}


@lru_cache(maxsize=1)
def _data() -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(
        resources.files(__package__).joinpath("sensitive_words.json").read_text("utf-8")
    )
    return found
