"""Ages of consent by country, below which a guardian consents (GDPR Art. 8, PIPL Art. 31)."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from importlib import resources

DEFAULT = "default"


@functools.cache
def load() -> Mapping[str, int]:
    """Return the age of consent by country, from `ages.toml`."""
    return tomllib.loads(resources.files(__package__).joinpath("ages.toml").read_text("utf-8"))


def of_consent(country: str) -> int:
    """Return the age in years from which a person of this country (ISO 3166, "" unknown) consents alone."""
    return load().get(country, load()[DEFAULT])


def is_child(birth_year: int | None, country: str, year: int) -> bool:
    """Say whether a person born in this year may be too young to consent alone in `year`.

    Where no birth year was given nobody is asked for one: the shop answers for whom its app is made for.
    """
    # Until the year ends, whoever was born in its last days is younger than the years' difference by one.
    return birth_year is not None and year - birth_year - 1 < of_consent(country)
