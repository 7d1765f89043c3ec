"""The purposes that a person's data may serve, from `purposes.toml`."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType

from pydantic import TypeAdapter

from covey_consent.errors import RequestError, UnknownError

CONSENT = "consent"
REFUSED = "refused"
HIGH = "high"


@dataclass(frozen=True, slots=True)
class Purpose:
    """A purpose: its words, lawful bases (`gdpr`: Article 6, `pipl`: Article 13), data, and what it gates.

    `basis` is "consent", "contract", "law", or "refused" for what is never offered; `storage` is "phone",
    "sum", "shop" or "none". `dpv`, `personal_data` and `legal_basis` are terms as receipts write them. What
    is `explicit` needs a consent of its own, said in a dialogue (GDPR Art. 9(2)(a), PIPL Art. 29). A grant
    holds for `valid_days` where it does not hold until withdrawn. `sale` is what the Global Privacy Control
    signal objects to. What has a "high" `risk` needs an assessment, what is `sensitive` a reason, and what
    has a `named_recipient` their name.
    """

    id: str
    basis: str
    en: str
    zh: str
    gdpr: str
    pipl: str
    data: tuple[str, ...]
    data_zh: tuple[str, ...]
    retention: str
    retention_zh: str
    storage: str
    dpv: tuple[str, ...]
    personal_data: tuple[str, ...]
    legal_basis: tuple[str, ...]
    gates: tuple[str, ...]
    explicit: bool = False
    valid_days: int | None = None
    sale: bool = False
    risk: str = "normal"
    sensitive: bool = False
    named_recipient: bool = False

    @property
    def needs_consent(self) -> bool:
        """Whether only a person's own yes allows it."""
        return self.basis == CONSENT


@functools.cache
def load() -> Mapping[str, Purpose]:
    """Return all purposes by id."""
    table = tomllib.loads(resources.files(__package__).joinpath("purposes.toml").read_text("utf-8"))
    purpose = TypeAdapter(Purpose).validate_python
    return MappingProxyType({name: purpose({"id": name, **row}) for name, row in table.items()})


def find(name: str) -> Purpose:
    """Return the purpose called `name`. Raises UnknownError, or RequestError for one never offered."""
    purpose = load().get(name)
    if purpose is None:
        raise UnknownError(f"there is no purpose {name!r}; /v1/purposes lists them")
    if purpose.basis == REFUSED:
        raise RequestError(f"purpose {name!r} is refused as a policy: nobody can be asked for it")
    return purpose
