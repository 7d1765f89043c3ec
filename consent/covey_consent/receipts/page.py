"""Receipts and certificates as pages to read and print: no script, nothing fetched.

A receipt is in the person's language; a certificate of a person's own part is one A4 page in English and
Chinese.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from covey_consent.receipts.content import STATUS
from covey_consent.receipts.labels import certificate_labels, labels_in, supported_language
from covey_consent.receipts.schema_27560 import ConsentRecord, Receipt

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""The content security policy under which the page works."""

_LAWS = {
    "eu-gdpr": {"en": "GDPR Art. {}", "zh": "GDPR 第 {} 条"},
    "pipl": {"en": "PIPL Art. {}", "zh": "《个人信息保护法》第 {} 条"},
}
_PAUSE = {"en": ", ", "zh": "、"}
_STATE = {status: state for state, status in STATUS.items()}


def render_receipt(receipt: Receipt) -> str:
    """Return the page, in the language of the first record's notice, or else of its event."""
    first = receipt.has_record_of_activity[0]
    shown = first.has_notice[0] if isinstance(first, ConsentRecord) else first.evidence.record
    language = supported_language(shown.language)
    template = _ENVIRONMENT.get_template("receipt.html.j2")
    return template.render(
        receipt=receipt, language=language, words=labels_in(language), pause=_PAUSE[language]
    )


def render_certificate(facts: Mapping[str, Any]) -> str:
    """Return the page.

    Args:
        facts: what a verified certificate proves, as `covey certificate verify --json` prints it.
    """
    words = certificate_labels()
    plain = {name: ", ".join(value) if isinstance(value, list) else value for name, value in facts.items()}
    statements = {each: words[each][facts["kind"]]["statement"].format(**plain) for each in words}
    template = _ENVIRONMENT.get_template("certificate.html.j2")
    return template.render(facts=facts, languages=tuple(words), words=words, statements=statements)


def article(iri: str, language: str) -> str:
    """Return a law's article as it is cited: "eu-gdpr:A6-1-a" is "GDPR Art. 6(1)(a)"."""
    law, _, place = iri.partition(":A")
    number, *parts = place.split("-")
    return _LAWS[law][language].format(number + "".join(f"({part})" for part in parts))


def _moment(time: str) -> str:
    """Return an RFC 3339 time to the minute, anything else as it is."""
    return re.sub(r"^(\d{4}-\d\d-\d\d)T(\d\d:\d\d):.*Z$", r"\1 \2 UTC", time)


_ENVIRONMENT = Environment(
    loader=PackageLoader("covey_consent.receipts", "pages"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters |= {
    "article": article,
    "moment": _moment,
    "address": lambda contact: contact.removeprefix("mailto:"),
    "state": _STATE.__getitem__,
}
