"""Risks to people's rights and freedoms, from the threat model."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from importlib import resources

from covey_privacy.floors import PRODUCTION

ROUNDS = frozenset(PRODUCTION.cohorts)
"""The purposes whose data leave the phone in secure sums."""


@dataclass(frozen=True, slots=True)
class Risk:
    """A risk of some purposes ("all", "rounds" or their ids), what stands against it and what remains."""

    of: str | list[str]
    risk: str
    zh: str
    against: str
    remains: str

    def is_of(self, purpose: str) -> bool:
        """Say whether it is a risk of the purpose."""
        if self.of == "rounds":
            return purpose in ROUNDS
        return self.of == "all" or purpose in self.of


@functools.cache
def load() -> tuple[Risk, ...]:
    """Return every risk."""
    text = resources.files("covey_consent.documents").joinpath("risks.toml").read_text("utf-8")
    return tuple(Risk(**row) for row in tomllib.loads(text)["risk"])
