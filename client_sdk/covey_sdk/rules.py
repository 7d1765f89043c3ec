"""The rule bundle: every number that a tag depends on, the same for everyone, signed by the operator.

`BASE` is built in. A shop's bundle may change numbers and extend the list of sensitive categories; it
cannot shorten that list.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import resources
from typing import Annotated, Any

from covey_privacy import wire
from covey_privacy.errors import PrivacyError
from covey_privacy.signatures import SigningKey, Verify, open_signed, sign, verify
from covey_sdk.errors import RegistryError
from covey_sdk.purposes import PERSONALIZE, SENSITIVE

CONTEXT = "rules"
FIXED = "fixed"
POPULATION = "population"

Days = Annotated[int, wire.Range(1, 3660)]
Count = Annotated[int, wire.Range(1, 10_000)]
Minor = Annotated[int, wire.Range(0, 10**12)]


@dataclass(frozen=True, slots=True)
class RfmRules:
    """Cuts of the eight segments: near is R <= `recency_days`, high F >= `orders`, M > `mean_order_minor`.

    `mode` says where the cuts come from: "fixed" by the shop, or "population" medians from a released sum.
    """

    mode: wire.Name
    recency_days: Annotated[float, wire.Range(0, 3660)]
    orders: Annotated[float, wire.Range(0, 10_000)]
    order_window_days: Days
    mean_order_minor: Annotated[float, wire.Range(0, 1e12)]


@dataclass(frozen=True, slots=True)
class LifecycleRules:
    """Boundaries of the stages and of the behaviours that make a super user."""

    dormant: Days
    lost: Days
    silent_days: Days
    core_orders: Count
    core_days: Days
    loyal_minor: Minor
    loyal_days: Days
    trier_orders: Count
    trier_days: Days


@dataclass(frozen=True, slots=True)
class ChurnRules:
    """The churn warning: `least_orders` or more, then silence for `factor` median gaps, to `most_days`."""

    least_orders: Annotated[int, wire.Range(2, 10_000)]
    factor: Annotated[float, wire.Range(1, 100)]
    most_days: Days


@dataclass(frozen=True, slots=True)
class SensitiveCategory:
    """A product category that tells about health or family, and the purpose that may keep it."""

    category: wire.Name
    purpose: wire.Name


@dataclass(frozen=True)
class Rules:
    """A bundle. A category's case, underscores and spacing do not matter."""

    version: wire.U32
    rfm: RfmRules
    lifecycle: LifecycleRules
    churn: ChurnRules
    sensitive: Annotated[tuple[SensitiveCategory, ...], wire.Size(0, 10_000)]

    @property
    def digest(self) -> bytes:
        """SHA-256 of the bundle's bytes: its name."""
        return hashlib.sha256(wire.encode(self)).digest()

    def purpose_of(self, category: str) -> str:
        """Return the purpose that may keep a line of this category."""
        return self._index.get(_plain(category), PERSONALIZE)

    @cached_property
    def _index(self) -> Mapping[str, str]:
        """The bundle's list and the built-in one; where both name a category, the built-in one holds."""
        return {_plain(entry.category): entry.purpose for entry in (*self.sensitive, *_base_list())}


def sign_rules(rules: Rules, key: SigningKey) -> bytes:
    """Return the bundle signed by the operator."""
    return sign(CONTEXT, rules, key)


def open_rules(data: bytes, operator: bytes, verify: Verify = verify) -> Rules:
    """Return the bundle in `data`. Raises RegistryError unless the operator signed it and it makes sense."""
    try:
        rules = open_signed(Rules, CONTEXT, data, operator, verify, "operator")
    except PrivacyError as error:
        raise RegistryError(f"the rule bundle is refused: {error}") from None
    _check(rules)
    return rules


def adopt(data: bytes, operator: bytes, current: Rules, verify: Verify = verify) -> Rules:
    """Return the signed bundle if it is newer than `current`. Raises RegistryError when it is not."""
    rules = open_rules(data, operator, verify)
    if rules.version <= current.version and rules != current:
        raise RegistryError(
            f"rule bundle {rules.version} is refused: {current.version} is in use, a newer one was expected"
        )
    return rules


def _check(rules: Rules) -> None:
    if rules.rfm.mode not in (FIXED, POPULATION):
        raise RegistryError(f"rfm.mode is {rules.rfm.mode!r}; {FIXED!r} or {POPULATION!r} was expected")
    if rules.lifecycle.lost < rules.lifecycle.dormant:
        raise RegistryError("lifecycle.lost comes before lifecycle.dormant; it must not")
    for entry in rules.sensitive:
        if entry.purpose not in SENSITIVE:
            raise RegistryError(
                f"category {entry.category!r} names purpose {entry.purpose!r}; health or family was expected"
            )


@lru_cache(maxsize=8192)
def _plain(category: str) -> str:
    return " ".join(category.casefold().replace("_", " ").split())


def _load(data: Mapping[str, Any]) -> Rules:
    listed = data["sensitive"]
    return Rules(
        data["version"],
        RfmRules(**data["rfm"]),
        LifecycleRules(**data["lifecycle"]),
        ChurnRules(**data["churn"]),
        tuple(SensitiveCategory(name, purpose) for purpose in sorted(listed) for name in listed[purpose]),
    )


BASE = _load(json.loads(resources.files(__package__).joinpath("rules.json").read_text("utf-8")))


def _base_list() -> tuple[SensitiveCategory, ...]:
    return BASE.sensitive
