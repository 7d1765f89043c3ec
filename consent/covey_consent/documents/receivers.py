"""Who receives data under a purpose: as the controller states it, joined with whom the registry tells."""

from __future__ import annotations

from collections.abc import Iterable

from covey_consent.documents.facts import Facts, Told
from covey_consent.notices.facts import Facts as NoticeFacts
from covey_consent.policy import transfers
from covey_consent.policy.controller import Recipient
from covey_consent.policy.purposes import Purpose

AGREE = "nowhere"


def named(purpose: Purpose, facts: Facts) -> tuple[str, ...]:
    """Return every recipient of either list, each once."""
    stated = tuple(f"{one.name} ({one.role}, {one.country})" for one in _stated(purpose, facts))
    unknown = "role and country are not in the controller's facts"
    return (*stated, *(f"{one.name} ({unknown})" for one in _unstated(purpose, facts)))


def differences(purpose: Purpose, facts: Facts) -> str:
    """Return in one line where the two lists disagree."""
    unstated = [one.name for one in _unstated(purpose, facts)]
    untold = [one.name for one in _stated(purpose, facts) if not _is_told(one, purpose, facts)]
    parts = (
        f"the registry tells {_list(unstated)} of changes, and the controller's facts do not name "
        f"{_them(unstated)} for this purpose" if unstated else "",
        f"the controller's facts name {_list(untold)}, and the registry tells {_them(untold)} of no change"
        if untold else "",
    )  # fmt: skip
    return "; ".join(filter(None, parts)) or AGREE


def abroad(purpose: Purpose, facts: Facts) -> tuple[str, ...]:
    """Return each recipient abroad with what covers the transfer (GDPR Art. 46, PIPL Art. 38)."""
    sent = NoticeFacts(facts.controller, facts.settings.caps).abroad(purpose)
    stated = (f"{one.name}, {one.country}: {one.safeguard or 'no safeguard is stated'}" for one in sent)
    unknown = "country and safeguard are not in the controller's facts"
    return (*stated, *(f"{one.name}: {unknown}" for one in _unstated(purpose, facts)))


def _stated(purpose: Purpose, facts: Facts) -> tuple[Recipient, ...]:
    return transfers.recipients(purpose.id, facts.controller)


def _unstated(purpose: Purpose, facts: Facts) -> tuple[Told, ...]:
    names = {_key(one.name) for one in _stated(purpose, facts)}
    return tuple(one for one in facts.told if purpose.id in one.purposes and _key(one.name) not in names)


def _is_told(stated: Recipient, purpose: Purpose, facts: Facts) -> bool:
    """Say whether the registry tells it; where data leave the country, of any purpose that is its own."""
    of = {*stated.purposes, purpose.id} if purpose.id == transfers.CONSENT else {purpose.id}
    return any(
        one.active and _key(one.name) == _key(stated.name) and of & {*one.purposes} for one in facts.told
    )


def _key(name: str) -> str:
    return " ".join(name.split()).casefold()


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)


def _them(names: list[str]) -> str:
    return "it" if len(names) == 1 else "them"
