"""The rule bundle: every number that a tag depends on, the same for everyone, signed by the operator.

`BASE` is built in. A shop's bundle may change numbers, and it maps each of the shop's category ids to
`ordinary`, `health` or `family`. What is not mapped counts as sensitive: `BASE`, which knows no shop, maps
nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import resources
from types import MappingProxyType
from typing import Annotated, Any

from covey_privacy import wire
from covey_privacy.errors import PrivacyError
from covey_privacy.signatures import SigningKey, Verify, open_signed, sign, verify
from covey_sdk.errors import RegistryError
from covey_sdk.event_checks import CURRENCIES
from covey_sdk.purposes import FAMILY, HEALTH, ORDINARY, SENSITIVE
from covey_sdk.rule_sections import (
    ChurnRules,
    HabitRules,
    Lead,
    LifecycleRules,
    MoneyCuts,
    Pair,
    Pairs,
    PreferenceRules,
    PriceRules,
    ReplenishRules,
    RfmRules,
)

CONTEXT = "rules"
FIXED = "fixed"
POPULATION = "population"
ORDINARY_KIND = "ordinary"
"""The kind of a category that tells nothing about health or family."""

KINDS = (ORDINARY_KIND, HEALTH, FAMILY)
MOST_CATEGORIES = 2**16

CategoryId = Annotated[str, wire.Size(1, 128)]


@dataclass(frozen=True, slots=True)
class Category:
    """A category id of the shop, and its kind: `ordinary`, or `health` or `family`, which alone may keep it.

    `reason` says why an id that holds a known sensitive word is `ordinary` all the same; whoever reads the
    bundle can read it.
    """

    id: CategoryId
    kind: wire.Name
    reason: wire.Text = ""


@dataclass(frozen=True)
class Rules:
    """A bundle. `categories` maps ids exactly as events name them: another spelling is not mapped.

    `currency` is that of the cuts in `rfm` and `lifecycle`; `money` gives them for further currencies.
    """

    version: wire.U32
    currency: wire.Name
    money: Annotated[tuple[MoneyCuts, ...], wire.Size(0, 256)]
    rfm: RfmRules
    lifecycle: LifecycleRules
    churn: ChurnRules
    price: PriceRules
    habit: HabitRules
    preference: PreferenceRules
    replenish: ReplenishRules
    cross_sell: Pairs
    complement: Pairs
    categories: Annotated[tuple[Category, ...], wire.Size(0, MOST_CATEGORIES)] = ()

    def __hash__(self) -> int:
        """Hash the version alone: bundles are keys of caches, and one may map tens of thousands of ids."""
        return hash(self.version)

    @property
    def digest(self) -> bytes:
        """SHA-256 of the bundle's bytes: its name."""
        return hashlib.sha256(wire.encode(self)).digest()

    def kind_of(self, category: str) -> str | None:
        """Return what the shop mapped the category id to, None where it is not mapped."""
        return self._kinds.get(category)

    def is_ordinary(self, category: str) -> bool:
        """Say whether the category id is mapped to `ordinary`."""
        return self.kind_of(category) == ORDINARY_KIND

    def keeps(self, category: str, purposes: Set[str]) -> bool:
        """Say whether `purposes` together may keep a line of this category.

        A category that is not mapped could be any kind: it takes both `health` and `family`.
        """
        kind = self.kind_of(category)
        if kind is None:
            return purposes >= SENSITIVE
        return not purposes.isdisjoint(ORDINARY) if kind == ORDINARY_KIND else kind in purposes

    def admits(self, categories: Iterable[str], sensitive: Set[str]) -> bool:
        """Say whether what stands in all these categories counts under the `sensitive` purposes."""
        counting = ORDINARY | sensitive
        return all(self.keeps(category, counting) for category in categories)

    def may_enter_tags(self, categories: Iterable[str], sensitive: Set[str]) -> bool:
        """Say whether tags may be about all these categories under the `sensitive` purposes.

        One that is not mapped never enters a tag, also where both `health` and `family` let it be kept.
        """
        counting = ORDINARY | sensitive
        return all(
            self.kind_of(category) is not None and self.keeps(category, counting) for category in categories
        )

    def money_in(self, currency: str | None) -> MoneyCuts | None:
        """Return the money cuts in a currency, None where the bundle gives none: nothing is converted."""
        own = MoneyCuts(self.currency, self.rfm.mean_order_minor, self.lifecycle.loyal_minor)
        return next((cuts for cuts in (own, *self.money) if cuts.currency == currency), None)

    def mean_order_cut(self, currency: str | None) -> float | None:
        """Return the cut of the mean order, None where there is none in this currency.

        The population's is the median of the phones' amounts, and so in whatever currency they pay.
        """
        if self.rfm.mode == POPULATION:
            return self.rfm.mean_order_minor
        cuts = self.money_in(currency)
        return cuts.mean_order_minor if cuts else None

    def lead_of(self, category: str) -> int:
        """Return how many days before it runs out a category is due."""
        return self._leads.get(plain(category), self.replenish.lead)

    @cached_property
    def _leads(self) -> Mapping[str, int]:
        return {plain(lead.category): lead.days for lead in self.replenish.leads}

    @cached_property
    def _kinds(self) -> Mapping[str, str]:
        return {category.id: category.kind for category in self.categories}


def sign_rules(rules: Rules, key: SigningKey, names: Mapping[str, str] = MappingProxyType({})) -> bytes:
    """Return the bundle signed by the operator.

    Args:
        names: What the shop calls its category ids. They are checked and not signed: phones know ids alone.

    Raises RegistryError where a phone would refuse it, or where a category whose id or name holds a known
    sensitive word is mapped to `ordinary` without a written reason.
    """
    _check_words(rules.categories, names)
    try:
        signed = sign(CONTEXT, rules, key)
    except PrivacyError as error:
        raise RegistryError(f"the rule bundle is not signed: {error}") from None
    open_rules(signed, key.public)
    return signed


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
    _check_currencies([rules.currency, *(cuts.currency for cuts in rules.money)])
    if rules.lifecycle.lost < rules.lifecycle.dormant:
        raise RegistryError("lifecycle.lost comes before lifecycle.dormant; it must not")
    if rules.habit.weeks < rules.habit.least_weeks:
        raise RegistryError("habit.least_weeks is more than habit.weeks; it must not be")
    for pair in (*rules.cross_sell, *rules.complement):
        if pair.most_days < pair.least_days:
            raise RegistryError(f"the pair {pair.bought!r}, {pair.due!r} ends before it begins; it must not")
    _check_categories(rules.categories)


def _check_categories(categories: Iterable[Category]) -> None:
    """Require known kinds, and ids that differ by more than what tags write alike."""
    seen: dict[str, str] = {}
    for category in categories:
        if category.kind not in KINDS:
            raise RegistryError(
                f"category {category.id!r} is mapped to {category.kind!r}; {', '.join(KINDS)} are known"
            )
        name = plain(category.id)
        if not name or name in seen:
            other = f"as {seen[name]!r} is" if name else "with nothing"
            raise RegistryError(
                f"category {category.id!r} would be written {other} in tags; give every category an id "
                "that differs by more than case, spaces and underscores"
            )
        seen[name] = category.id


def _check_words(categories: Iterable[Category], names: Mapping[str, str]) -> None:
    """Require a written reason for each `ordinary` category whose id or name holds a sensitive word."""
    from covey_sdk import sensitive_words  # no phone signs: none is to load the lists

    for category in categories:
        if category.kind != ORDINARY_KIND or sensitive_words.is_reason(category.reason, category.id):
            continue
        name = names.get(category.id, "")
        for text in (category.id, name):
            found = sensitive_words.branch_of(text), *sensitive_words.find(text)
            for match in filter(None, found):
                called = f" ({name!r})" if name and name != category.id else ""
                raise RegistryError(
                    f"category {category.id!r}{called} is mapped to {ORDINARY_KIND!r}, but "
                    f"{match.text!r} is a known word of {match.kind}: map it to {match.kind!r}, or give "
                    "`reason`, three words or more that say why it is ordinary"
                )


def _check_currencies(currencies: Sequence[str]) -> None:
    for currency in currencies:
        if currency not in CURRENCIES:
            raise RegistryError(
                f"the rule bundle has money cuts in {currency!r}; "
                "a currency of ISO 4217, such as CNY, was expected"
            )
    if len(set(currencies)) < len(currencies):
        raise RegistryError("the rule bundle gives money cuts in one currency twice; it must not")


@lru_cache(maxsize=8192)
def plain(category: str) -> str:
    """Return a category in the one spelling that tags use: `Infant  Formula` is `infant_formula`."""
    return "_".join(category.casefold().replace("_", " ").split())


def _load(data: Mapping[str, Any]) -> Rules:
    replenish = data["replenish"]
    return Rules(
        data["version"],
        data["currency"],
        tuple(MoneyCuts(**cuts) for cuts in data["money"]),
        RfmRules(**data["rfm"]),
        LifecycleRules(**data["lifecycle"]),
        ChurnRules(**data["churn"]),
        PriceRules(**data["price"]),
        HabitRules(**data["habit"]),
        PreferenceRules(**data["preference"]),
        ReplenishRules(**{**replenish, "leads": tuple(Lead(*lead) for lead in replenish["leads"].items())}),
        tuple(Pair(**pair) for pair in data["cross_sell"]),
        tuple(Pair(**pair) for pair in data["complement"]),
    )


BASE = _load(json.loads(resources.files(__package__).joinpath("rule_bundle.json").read_text("utf-8")))
