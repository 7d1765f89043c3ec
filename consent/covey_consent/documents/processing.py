"""What each purpose's processing is: whose data, where, who receives them, its cases of PIPL Art. 55.

Recipients are those that the controller states, joined with those that the registry tells of changes.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from covey_consent.documents.document import Bilingual, Value
from covey_consent.documents.facts import Facts
from covey_consent.documents.outline import read_table
from covey_consent.notices.drafts import NoticeFacts
from covey_consent.policy import transfers
from covey_consent.policy.controller import Controller
from covey_consent.policy.controller import StatedRecipient as StatedRecipient
from covey_consent.policy.purposes import Purpose
from covey_consent.recipients.register import Recipient

CASES: Mapping[str, Bilingual] = {
    "sensitive": Bilingual("sensitive personal information", "处理敏感个人信息"),
    "automated": Bilingual("automated decision-making", "利用个人信息进行自动化决策"),
    "entrusted": Bilingual("entrusted to a processor", "委托处理个人信息"),
    "provided": Bilingual("provided to another controller", "向其他个人信息处理者提供个人信息"),
    "published": Bilingual("published", "公开个人信息"),
    "abroad": Bilingual("provided abroad", "向境外提供个人信息"),
    "other": Bilingual(
        "other processing with a major influence on people", "其他对个人权益有重大影响的处理活动"
    ),
}


@dataclass(frozen=True, slots=True)
class Processing:
    """A purpose's processing: whose data, where, and its cases of PIPL Art. 55, as keys of CASES."""

    people: str
    where: str
    cases: list[str]


@functools.cache
def load_processing() -> Mapping[str, Processing]:
    """Return every purpose's processing, by the purpose's id."""
    return {name: Processing(**row) for name, row in read_table("processing.toml").items()}


def describe(purpose: Purpose, facts: Facts) -> dict[str, Value]:
    """Return what record and assessment say of a purpose alike, by the keys of their lines."""
    processing = load_processing()[purpose.id]
    cases = find_cases(purpose.id, facts.controller)
    return {
        "purpose_id": purpose.id,
        "purpose_zh": purpose.zh,
        "basis": f"GDPR Art. {purpose.gdpr}; PIPL Art. {purpose.pipl}",
        "subjects": processing.people,
        "data": purpose.data,
        "where": processing.where,
        "gates": purpose.gates,
        "retention": purpose.retention,
        "recipients": _recipients(purpose, facts) or "none",
        "transfers": find_transfers(purpose, facts) or "none",
        "cases": tuple(f"{CASES[case].en} ({CASES[case].zh})" for case in cases) or "none",
    }


def find_cases(purpose: str, controller: Controller) -> tuple[str, ...]:
    """Return the cases of PIPL Art. 55, with those that the controller's recipients add."""
    found = set(load_processing()[purpose].cases)
    for recipient in transfers.recipients(purpose, controller):
        found.add("entrusted" if recipient.role == "processor" else "provided")
        if recipient.country != controller.country:
            found.add("abroad")
    return tuple(case for case in CASES if case in found)


def find_transfers(purpose: Purpose, facts: Facts) -> tuple[str, ...]:
    """Return each recipient abroad with what covers the transfer (GDPR Art. 46, PIPL Art. 38)."""
    sent = NoticeFacts(facts.controller, facts.settings.caps).abroad(purpose)
    unknown = "country and safeguard are not in the controller's facts"
    return (
        *(f"{one.name}, {one.country}: {one.safeguard or 'no safeguard is stated'}" for one in sent),
        *(f"{one.name}: {unknown}" for one in _unstated(purpose, facts)),
    )


def find_differences(purpose: Purpose, facts: Facts) -> str:
    """Return in one line where the controller's and the registry's list of recipients disagree."""
    stated = transfers.recipients(purpose.id, facts.controller)
    unstated = [one.name for one in _unstated(purpose, facts)]
    untold = [one.name for one in stated if not _is_informed(one, purpose, facts)]
    parts = []
    if unstated:
        parts.append(
            f"the registry tells {', '.join(unstated)} of changes, and the controller's facts do not name "
            f"{_them(unstated)} for this purpose"
        )
    if untold:
        parts.append(
            f"the controller's facts name {', '.join(untold)}, and the registry tells {_them(untold)} of no "
            "change"
        )
    return "; ".join(parts) or "nowhere"


def _recipients(purpose: Purpose, facts: Facts) -> tuple[str, ...]:
    """Return every recipient of either list, each once."""
    stated = transfers.recipients(purpose.id, facts.controller)
    unknown = "role and country are not in the controller's facts"
    return (
        *(f"{one.name} ({one.role}, {one.country})" for one in stated),
        *(f"{one.name} ({unknown})" for one in _unstated(purpose, facts)),
    )


def _unstated(purpose: Purpose, facts: Facts) -> Sequence[Recipient]:
    """Return the recipients that the registry tells and the controller does not state."""
    stated = {_name(one.name) for one in transfers.recipients(purpose.id, facts.controller)}
    told = (one for one in facts.informed if purpose.id in one.purposes.split("+"))
    return [one for one in told if _name(one.name) not in stated]


def _is_informed(stated: StatedRecipient, purpose: Purpose, facts: Facts) -> bool:
    """Say whether the registry tells it; where data leave the country, of any purpose that is its own."""
    of = {*stated.purposes, purpose.id} if purpose.id == transfers.CONSENT else {purpose.id}
    same = (one for one in facts.informed if _name(one.name) == _name(stated.name))
    return any(one.active and of & {*one.purposes.split("+")} for one in same)


def _name(name: str) -> str:
    return " ".join(name.split()).casefold()


def _them(names: Sequence[str]) -> str:
    return "it" if len(names) == 1 else "them"
