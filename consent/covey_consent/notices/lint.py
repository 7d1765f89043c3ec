"""The completeness lint: which item a notice does not state, in which language, and who asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from covey_consent.errors import RequestError
from covey_consent.notices.drafts import ABSENT, NOBODY, NoticeFacts, fill
from covey_consent.notices.files import Item, NoticeFile, NoticeWords, items_of
from covey_consent.policy import purposes
from covey_consent.policy.purposes import Purpose

RECIPIENTS = ("*", "recipients", "GDPR 13(1)(e), PIPL 23")
TRANSFERS = ("*", "transfers", "GDPR 13(1)(f), PIPL 39")


class Finding(NamedTuple):
    """What is wrong with one item in one language ("*": in all)."""

    language: str
    item: str
    articles: str
    what: str

    def __str__(self) -> str:
        return f"{self.language}: {self.item} ({self.articles}) {self.what}"


def lint(file: NoticeFile, facts: NoticeFacts) -> tuple[Finding, ...]:
    """Return what a completed file lacks. Raises UnknownError or RequestError for a purpose never offered."""
    purpose = purposes.find(file.purpose)
    findings = [*_check_facts(purpose, facts)]
    for language, words in file.texts.items():
        findings += _check_words(language, words, purpose, facts.words(purpose, language))
    return tuple(findings)


def require_complete(file: NoticeFile, facts: NoticeFacts) -> None:
    """Raise RequestError listing what a completed file lacks."""
    if findings := lint(file, facts):
        listed = "; ".join(map(str, findings))
        raise RequestError(f"the notice for {file.purpose!r} is incomplete: {listed}")


def _check_words(
    language: str, words: NoticeWords, purpose: Purpose, known: dict[str, str]
) -> Iterator[Finding]:
    try:
        fill(words.text, known)
    except RequestError as error:
        yield Finding(language, "text", "GDPR 12(1)", f"cannot be shown: {error}")
    for item in items_of(purpose):
        what = _check_item(item, words.items.get(item.name, ""), known)
        if what is not None:
            yield Finding(language, item.name, item.articles, what)


def _check_item(item: Item, words: str, known: dict[str, str]) -> str | None:
    if not words:
        return "is missing"
    try:
        line = fill(words, known)
    except RequestError as error:
        return f"cannot be shown: {error}"
    fact = known[item.fact] if item.fact else ""
    if fact not in (ABSENT, *NOBODY.values()) and fact not in line:
        return f"does not say ${item.fact}"
    return None


def _check_facts(purpose: Purpose, facts: NoticeFacts) -> Iterator[Finding]:
    recipients = facts.recipients(purpose)
    if purpose.named_recipient and not recipients:
        yield Finding(*RECIPIENTS, "names nobody; add who receives the data to the controller's facts")
    for one in recipients:
        if one.role != "processor" and one.contact is None:
            yield Finding(*RECIPIENTS, f"lacks the contact of {one.name} in the controller's facts")
    for one in facts.abroad(purpose):
        if one.safeguard is None:
            what = f"lacks the safeguard for {one.name} in {one.country} in the controller's facts"
            yield Finding(*TRANSFERS, what)
