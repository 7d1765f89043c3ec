"""The completeness lint: which item a notice does not state, in which language, and who asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from covey_consent.errors import RequestError
from covey_consent.notices.drafts import fill
from covey_consent.notices.facts import ABSENT, NOBODY, Facts
from covey_consent.notices.files import NoticeFile, Words
from covey_consent.notices.items import Item, asked_of
from covey_consent.policy import purposes
from covey_consent.policy.purposes import Purpose

EVERY_LANGUAGE = "*"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with one item in one language ("*": in all)."""

    language: str
    item: str
    articles: str
    what: str

    def __str__(self) -> str:
        return f"{self.language}: {self.item} ({self.articles}) {self.what}"


def lint(file: NoticeFile, facts: Facts) -> tuple[Finding, ...]:
    """Return what a completed file lacks. Raises UnknownError or RequestError for a purpose never offered."""
    purpose = purposes.find(file.purpose)
    written = (_written(language, words, purpose, facts) for language, words in file.texts.items())
    return (*_of_facts(purpose, facts), *(finding for findings in written for finding in findings))


def require_complete(file: NoticeFile, facts: Facts) -> None:
    """Raise RequestError listing what a completed file lacks."""
    if findings := lint(file, facts):
        listed = "; ".join(map(str, findings))
        raise RequestError(f"the notice for {file.purpose!r} is incomplete: {listed}")


def _written(language: str, words: Words, purpose: Purpose, facts: Facts) -> Iterator[Finding]:
    known = facts.words(purpose, language)
    try:
        fill(words.text, known)
    except RequestError as error:
        yield Finding(language, "text", "GDPR 12(1)", f"cannot be shown: {error}")
    for item in asked_of(purpose):
        what = _wrong(item, words.items.get(item.name, ""), known)
        if what is not None:
            yield Finding(language, item.name, item.articles, what)


def _wrong(item: Item, words: str, known: dict[str, str]) -> str | None:
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


def _of_facts(purpose: Purpose, facts: Facts) -> Iterator[Finding]:
    recipients = facts.recipients(purpose)
    if purpose.named_recipient and not recipients:
        yield _recipients("names nobody; add who receives the data to the controller's facts")
    for one in recipients:
        if one.role != "processor" and one.contact is None:
            yield _recipients(f"lacks the contact of {one.name} in the controller's facts")
    for one in facts.abroad(purpose):
        if one.safeguard is None:
            what = f"lacks the safeguard for {one.name} in {one.country} in the controller's facts"
            yield Finding(EVERY_LANGUAGE, "transfers", "GDPR 13(1)(f), PIPL 39", what)


def _recipients(what: str) -> Finding:
    return Finding(EVERY_LANGUAGE, "recipients", "GDPR 13(1)(e), PIPL 23", what)
