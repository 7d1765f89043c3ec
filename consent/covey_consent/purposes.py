"""The purposes that a person's data may serve, from `purposes.toml`."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType

from covey_consent.errors import RequestError, UnknownError

CONSENT = "consent"
REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Purpose:
    """A purpose: its words, lawful bases (`gdpr`: Article 6, `pipl`: Article 13), data, and what it gates.

    `basis` is "consent", "contract", "law", or "refused" for what is never offered.
    """

    id: str
    basis: str
    en: str
    zh: str
    gdpr: str
    pipl: str
    data: tuple[str, ...]
    retention: str
    gates: tuple[str, ...]

    @property
    def needs_consent(self) -> bool:
        """Whether only a person's own yes allows it."""
        return self.basis == CONSENT


@functools.cache
def load() -> Mapping[str, Purpose]:
    """Return all purposes by id."""
    table = tomllib.loads(resources.files("covey_consent").joinpath("purposes.toml").read_text("utf-8"))
    return MappingProxyType({id: _purpose(id, row) for id, row in table.items()})


def find(id: str) -> Purpose:
    """Return the purpose `id`. Raises UnknownError or, for one that is never offered, RequestError."""
    purpose = load().get(id)
    if purpose is None:
        raise UnknownError(f"there is no purpose {id!r}; /v1/purposes lists them")
    if purpose.basis == REFUSED:
        raise RequestError(f"purpose {id!r} is refused as a policy: nobody can be asked for it")
    return purpose


def _purpose(id: str, row: Mapping[str, object]) -> Purpose:
    return Purpose(id=id, **{name: _frozen(value) for name, value in row.items()})


def _frozen(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value
