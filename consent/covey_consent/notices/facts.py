"""Facts: what notices state of the controller, the purpose and the caps, in a language's words.

Names, addresses and numbers are the same in every language. A purpose's own words are those of
`purposes.toml`, English and Chinese: in another language the author writes such items out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from covey_consent.policy import transfers
from covey_consent.policy.controller import Contact, Controller, Recipient
from covey_consent.policy.purposes import Purpose
from covey_privacy.dp.odometer import Caps

NOBODY = {"en": "none", "zh": "无"}
ABSENT = "–"

_COMMAS = {"zh": "；"}
_BASES = {
    "en": {"consent": "your consent", "contract": "our contract with you", "law": "a duty under the law"},
    "zh": {"consent": "您的同意", "contract": "与您的合同", "law": "法定义务"},
}


@dataclass(frozen=True, slots=True)
class Facts:
    """Who answers for the processing, and the caps that the notices promise."""

    controller: Controller
    caps: Caps

    def recipients(self, purpose: Purpose) -> tuple[Recipient, ...]:
        """Return who receives data under the purpose."""
        return transfers.recipients(purpose.id, self.controller)

    def abroad(self, purpose: Purpose) -> tuple[Recipient, ...]:
        """Return which of them are in a country that the data are transferred to (GDPR 44, PIPL 38)."""
        received = self.recipients(purpose)
        if purpose.id == transfers.CONSENT:
            return received
        return tuple(one for one in received if transfers.is_abroad(one.country, self.controller.country))

    def words(self, purpose: Purpose, language: str) -> dict[str, str]:
        """Return every fact by the name that a template gives it."""
        plain = language.partition("-")[0]
        return {**self._who(purpose, plain), **_what(purpose, plain), **self._caps(purpose)}

    def _who(self, purpose: Purpose, language: str) -> dict[str, str]:
        us = self.controller
        stored = transfers.stored_abroad(purpose.id, us)
        people = [_party(one) for one in (us.representative, *us.joint) if one is not None]
        own = [us.name, us.address, us.country, us.email, *([us.phone] if us.phone else [])]
        return {
            "name": us.name,
            "email": us.email,
            "controller": _list([", ".join(own), *people], language),
            "contact": us.email if us.dpo is None else _party(us.dpo),
            "recipients": _list(map(_receiver, self.recipients(purpose)), language),
            "transfers": _list([*stored, *map(_transfer, self.abroad(purpose))], language),
            "storage": ", ".join(us.storage_countries),
            "rights_url": us.rights_url,
            "withdrawal_url": us.withdrawal_url,
            "authority": us.authority,
        }

    def _caps(self, purpose: Purpose) -> dict[str, str]:
        caps = self.caps
        numbers = {"epsilon": caps.per_purpose.get(purpose.id, 0.0), "total": caps.total, "delta": caps.delta}
        return {name: f"{number:g}" for name, number in numbers.items()}


def _what(purpose: Purpose, language: str) -> dict[str, str]:
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


def _party(party: Contact) -> str:
    return ", ".join(filter(None, (party.name, party.address, party.email)))


def _receiver(recipient: Recipient) -> str:
    return ", ".join(filter(None, (recipient.name, recipient.country, recipient.contact)))


def _transfer(recipient: Recipient) -> str:
    return ", ".join(filter(None, (recipient.name, recipient.country, recipient.safeguard)))
