"""Drafts: a notice file and the facts, as the notice that a person would be shown."""

from __future__ import annotations

import json
from string import Template

from covey_consent.errors import RequestError
from covey_consent.notices.facts import Facts
from covey_consent.notices.files import NoticeFile, Words
from covey_consent.notices.items import ITEMS
from covey_consent.policy import purposes
from covey_consent.policy.purposes import Purpose
from covey_privacy import wire
from covey_privacy.registry_messages import Notice, NoticeText

MOST_BYTES = 48 * 1024
"""A notice's bytes at most: those of twenty purposes are one download, of which phones read 1 MiB."""


def draft(file: NoticeFile, facts: Facts) -> Notice:
    """Return the notice of a completed file, with the version that its author declares."""
    purpose = purposes.find(file.purpose)
    texts = tuple(_text(language, words, purpose, facts) for language, words in file.texts.items())
    caps = facts.caps
    epsilon = caps.per_purpose.get(purpose.id, 0.0)
    notice = Notice(purpose.id, *file.declared, purpose.basis, epsilon, caps.total, caps.delta, texts)
    size = len(wire.encode(notice))
    if size > MOST_BYTES:
        raise RequestError(f"the notice for {purpose.id!r} has {size} bytes; at most {MOST_BYTES} are taken")
    return notice


def terms(purpose: Purpose) -> str:
    """Return, as JSON, what a purpose's consent is about beside the notice's words and caps."""
    return json.dumps({"data": purpose.data, "gates": purpose.gates, "retention": purpose.retention})


def fill(words: str, facts: dict[str, str]) -> str:
    """Return the words with the facts in their places. Raises RequestError naming what cannot be filled."""
    try:
        return Template(words).substitute(facts)
    except KeyError as error:
        raise RequestError(f"no fact gives ${error.args[0]} in this language; write it out") from None
    except ValueError:
        raise RequestError("a $ names no fact; a dollar sign is written $$") from None


def _text(language: str, words: Words, purpose: Purpose, facts: Facts) -> NoticeText:
    known = facts.words(purpose, language)
    lines = (words.items.get(item.name, "") for item in ITEMS)
    stated = "\n".join(fill(line, known) for line in lines if line)
    return NoticeText(language, words.title, f"{fill(words.text, known)}\n\n{stated}")
