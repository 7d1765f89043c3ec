"""Versions of a text (Semantic Versioning 2.0.0, without pre-releases)."""

from __future__ import annotations

import re
from typing import NamedTuple

PATTERN = r"^[1-9][0-9]{0,8}(\.(0|[1-9][0-9]{0,8})){2}$"
"""A version in writing; the first is 1.0.0."""


class Semver(NamedTuple):
    """A version; the greater one is newer."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> Semver:
        """Return the version that is written. Raises ValueError."""
        if not re.fullmatch(PATTERN, text):
            raise ValueError(f"a version is written as 2.1.0, from 1.0.0 on; {text[:40]!r} was given")
        return cls(*map(int, text.split(".")))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    @property
    def next_major(self) -> Semver:
        """The version that asks anew."""
        return Semver(self.major + 1, 0, 0)
