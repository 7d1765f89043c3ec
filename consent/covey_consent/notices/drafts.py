"""Drafts: a notice file with the facts of controller, purpose and caps filled into its words.

Names, addresses and numbers are the same in every language. A purpose's own words are those of
`purposes.toml`, English and Chinese: in another language the author writes such items out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from string import Template

from covey_consent.errors import RequestError
from covey_consent.notices.files import ITEMS, NoticeFile, NoticeWords
from covey_consent.policy import purposes, transfers
from covey_consent.policy.controller import Controller, StatedRecipient
from covey_consent.policy.purposes import Purpose
from covey_privacy import wire
from covey_privacy.dp.odometer import Caps
from covey_privacy.registry_messages import Notice, NoticeText

MOST_BYTES = 48 * 1024
"""A notice's bytes at most: those of twenty purposes are one download, of which phones read 1 MiB."""

NOBODY = {"en": "none", "zh": "无"}
ABSENT = "–"

_COMMAS = {"zh": "；"}
_BASES = {
    "en": {"consent": "your consent", "contract": "our contract with you", "law": "a duty under the law"},
    "zh": {"consent": "您的同意", "contract": "与您的合同", "law": "法定义务"},
}


@dataclass(frozen=True, slots=True)
class NoticeFacts:
    """Who answers for the processing, and the caps that the notices promise."""

    controller: Controller
    caps: Caps

    def recipients(self, purpose: Purpose) -> tuple[StatedRecipient, ...]:
        """Return who receives data under the purpose."""
        return transfers.recipients(purpose.id, self.controller)

    def abroad(self, purpose: Purpose) -> tuple[StatedRecipient, ...]:
        """Return which of them are in a country that the data are transferred to (GDPR 44, PIPL 38)."""
        received = self.recipients(purpose)
        if purpose.id == transfers.CONSENT:
            return received
        return tuple(one for one in received if transfers.is_abroad(one.country, self.controller.country))

    def words(self, purpose: Purpose, language: str) -> dict[str, str]:
        """Return every fact by the name that a template gives it."""
        us, caps, plain = self.controller, self.caps, language.partition("-")[0]
        parties = [_join(one.name, one.address, one.email) for one in (us.representative, *us.joint) if one]
        received = (_join(one.name, one.country, one.contact) for one in self.recipients(purpose))
        sent = (_join(one.name, one.country, one.safeguard) for one in self.abroad(purpose))
        stored = transfers.stored_abroad(purpose.id, us)
        return {
            "name": us.name,
            "email": us.email,
            "controller": _list(
                [_join(us.name, us.address, us.country, us.email, us.phone), *parties], plain
            ),
            "contact": _join(us.dpo.name, us.dpo.address, us.dpo.email) if us.dpo else us.email,
            "recipients": _list(received, plain),
            "transfers": _list([*stored, *sent], plain),
            "storage": ", ".join(us.storage_countries),
            "rights_url": us.rights_url,
            "withdrawal_url": us.withdrawal_url,
            "authority": us.authority,
            **_words_of_purpose(purpose, plain),
            "epsilon": f"{caps.per_purpose.get(purpose.id, 0.0):g}",
            "total": f"{caps.total:g}",
            "delta": f"{caps.delta:g}",
        }


def draft(file: NoticeFile, facts: NoticeFacts) -> Notice:
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


def terms_of(purpose: Purpose) -> str:
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


def _text(language: str, words: NoticeWords, purpose: Purpose, facts: NoticeFacts) -> NoticeText:
    known = facts.words(purpose, language)
    lines = (words.items.get(item.name, "") for item in ITEMS)
    stated = "\n".join(fill(line, known) for line in lines if line)
    return NoticeText(language, words.title, f"{fill(words.text, known)}\n\n{stated}")


def _words_of_purpose(purpose: Purpose, language: str) -> dict[str, str]:
    articles = {
        "gdpr": ", ".join(re.findall(r"\d+(?:\([0-9a-z]+\))+", purpose.gdpr)),
        "pipl": ", ".join(re.findall(r"\d+(?:\(\d+\))?", purpose.pipl)),
    }
    if language not in _BASES:
        return articles
    chinese = language == "zh"
    return {
        **articles,
        "basis": _BASES[language].get(purpose.basis, ABSENT),
        "purpose": purpose.zh if chinese else purpose.en,
        "data": _list(purpose.data_zh if chinese else purpose.data, language),
        "retention": purpose.retention_zh if chinese else purpose.retention,
    }


def _list(values: Iterable[str], language: str) -> str:
    return _COMMAS.get(language, "; ").join(values) or NOBODY.get(language, ABSENT)


def _join(*values: str | None) -> str:
    return ", ".join(filter(None, values))
