"""A receipt as one page to read and print: no script, nothing fetched, in the person's language."""

from __future__ import annotations

import re

from jinja2 import Environment, PackageLoader, StrictUndefined

from covey_consent.receipts import labels
from covey_consent.receipts.event import STATUS
from covey_consent.receipts.schema_27560 import ConsentRecord, Receipt

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""The content security policy under which the page works."""

_LAWS = {
    "eu-gdpr": {"en": "GDPR Art. {}", "zh": "GDPR 第 {} 条"},
    "pipl": {"en": "PIPL Art. {}", "zh": "《个人信息保护法》第 {} 条"},
}
_PAUSE = {"en": ", ", "zh": "、"}
_STATE = {status: state for state, status in STATUS.items()}


def render(receipt: Receipt) -> str:
    """Return the page, in the language of the first record's notice, or of what was said without one."""
    first = receipt.has_record_of_activity[0]
    shown = first.has_notice[0] if isinstance(first, ConsentRecord) else first.evidence.record
    language = labels.language(shown.language)
    template = _ENVIRONMENT.get_template("receipt.html.j2")
    return template.render(
        receipt=receipt, language=language, words=labels.of(language), pause=_PAUSE[language]
    )


def article(iri: str, language: str) -> str:
    """Return a law's article as it is cited: "eu-gdpr:A6-1-a" is "GDPR Art. 6(1)(a)"."""
    law, _, place = iri.partition(":A")
    number, *parts = place.split("-")
    return _LAWS[law][language].format(number + "".join(f"({part})" for part in parts))


def moment(time: str) -> str:
    """Return an RFC 3339 time to the minute, anything else as it is."""
    return re.sub(r"^(\d{4}-\d\d-\d\d)T(\d\d:\d\d):.*Z$", r"\1 \2 UTC", time)


def address(contact: str) -> str:
    """Return a contact as it is printed."""
    return contact.removeprefix("mailto:")


_ENVIRONMENT = Environment(
    loader=PackageLoader("covey_consent.receipts", "pages"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters |= {
    "article": article,
    "moment": moment,
    "address": address,
    "state": _STATE.__getitem__,
}
