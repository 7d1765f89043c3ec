"""The sections of a rule bundle: the cuts, windows and weights of each subject of tags."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from covey_privacy import wire

Days = Annotated[int, wire.Range(1, 3660)]
Count = Annotated[int, wire.Range(1, 10_000)]
Minor = Annotated[int, wire.Range(0, 10**12)]
Share = Annotated[float, wire.Range(0, 1)]
Weight = Annotated[float, wire.Range(0, 100)]


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
class MoneyCuts:
    """What `rfm.mean_order_minor` and `lifecycle.loyal_minor` are in another currency, in its minor unit."""

    currency: wire.Name
    mean_order_minor: Annotated[float, wire.Range(0, 1e12)]
    loyal_minor: Minor


@dataclass(frozen=True, slots=True)
class ChurnRules:
    """The churn warning: `least_orders` or more, then silence for `factor` median gaps, to `most_days`."""

    least_orders: Annotated[int, wire.Range(2, 10_000)]
    factor: Annotated[float, wire.Range(1, 100)]
    most_days: Days


@dataclass(frozen=True, slots=True)
class PriceRules:
    """Price-sensitive: `least_lines` or more were bought in `days`, every one of them discounted."""

    least_lines: Count
    days: Days


@dataclass(frozen=True, slots=True)
class HabitRules:
    """A weekly habit: a weekday in `least_weeks` of the last `weeks`, with `share` of the buys on it."""

    weeks: Annotated[int, wire.Range(1, 52)]
    least_weeks: Annotated[int, wire.Range(1, 52)]
    share: Share


@dataclass(frozen=True, slots=True)
class PreferenceRules:
    """A liking: `share` of the weighted events of `days`, and `least_events`. `half_life` is in days."""

    days: Days
    half_life: Days
    share: Share
    least_events: Count
    order_line: Weight
    cart_add: Weight
    favorite: Weight
    item_view: Weight


@dataclass(frozen=True, slots=True)
class Lead:
    """How many days before it runs out a category is due."""

    category: wire.Name
    days: Annotated[int, wire.Range(0, 3660)]


@dataclass(frozen=True, slots=True)
class ReplenishRules:
    """What runs out is due `lead` days before, or its category's own lead; with a visit in `active_days`.

    Where the catalogue does not say how long a unit lasts, `least_buys` in `days` do.
    """

    days: Days
    active_days: Days
    least_buys: Annotated[int, wire.Range(2, 10_000)]
    lead: Annotated[int, wire.Range(0, 3660)]
    leads: Annotated[tuple[Lead, ...], wire.Size(0, 10_000)]


@dataclass(frozen=True, slots=True)
class Pair:
    """Who bought one category and not the other since is due for it `least_days` to `most_days` after."""

    bought: wire.Name
    due: wire.Name
    least_days: Annotated[int, wire.Range(0, 3660)]
    most_days: Days


Pairs = Annotated[tuple[Pair, ...], wire.Size(0, 10_000)]
