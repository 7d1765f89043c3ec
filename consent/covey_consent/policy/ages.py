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


def age_of_consent(country: str) -> int:
    """Return the age in years from which a person of this country (ISO 3166, "" unknown) consents alone."""
    return load().get(country, load()[DEFAULT])


def is_child(birth_year: int | None, country: str, year: int) -> bool:
    """Return whether a person born in this year may be too young to consent alone in `year`.

    A missing birth year is not asked for: the shop is responsible for the audience of its app.
    """
    # A person born late in the year is one year younger than the difference until the year ends.
    return birth_year is not None and year - birth_year - 1 < age_of_consent(country)
