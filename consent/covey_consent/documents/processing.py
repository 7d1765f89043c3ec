"""What each purpose's processing is: whose data, where they are, which cases of PIPL Art. 55 it is."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

from covey_consent.documents.document import Words
from covey_consent.policy import transfers
from covey_consent.policy.controller import Controller

CASES: Mapping[str, Words] = {
    "sensitive": Words("sensitive personal information", "处理敏感个人信息"),
    "automated": Words("automated decision-making", "利用个人信息进行自动化决策"),
    "entrusted": Words("entrusted to a processor", "委托处理个人信息"),
    "provided": Words("provided to another controller", "向其他个人信息处理者提供个人信息"),
    "published": Words("published", "公开个人信息"),
    "abroad": Words("provided abroad", "向境外提供个人信息"),
    "other": Words("other processing with a major influence on people", "其他对个人权益有重大影响的处理活动"),
}


@dataclass(frozen=True, slots=True)
class Processing:
    """A purpose's processing: whose data, where, and its cases of PIPL Art. 55, as keys of CASES."""

    people: str
    where: str
    cases: tuple[str, ...]


@functools.cache
def load() -> Mapping[str, Processing]:
    """Return every purpose's processing, by the purpose's id."""
    text = resources.files("covey_consent.documents").joinpath("processing.toml").read_text("utf-8")
    rows = tomllib.loads(text).items()
    return {name: Processing(row["people"], row["where"], tuple(row["cases"])) for name, row in rows}


def cases(purpose: str, controller: Controller) -> tuple[str, ...]:
    """Return the cases of PIPL Art. 55, with those that the controller's recipients add."""
    found = set(load()[purpose].cases)
    for recipient in transfers.recipients(purpose, controller):
        found.add("entrusted" if recipient.role == "processor" else "provided")
        if recipient.country != controller.country:
            found.add("abroad")
    return tuple(case for case in CASES if case in found)
