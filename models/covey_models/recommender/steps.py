"""P1's training as questions: one for each secure sum, each built on what the sums before it gave.

    base_step(catalogue)                    # "p1-base": popularity, adoption and scalars as one vector
    gram_step(catalogue, base)              # "p1-gram"
    half_step(catalogue, base, axes)        # "p1-half-step"

`on_device` computes the vectors, `release` makes something of their sums.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from covey_models.catalogue import Catalogue
from covey_models.histogram import Fact
from covey_models.question import Question
from covey_models.recommender import on_device
from covey_models.recommender.on_device import Base

Vector = NDArray[np.float64]

BASE, GRAM, HALF_STEP = "p1-base", "p1-gram", "p1-half-step"
CATALOGUE, AXES = "catalogue", "p1-axes"
MODEL = "p1"
"""The release that phones rank by."""

PURPOSE = "train"
"""The purpose that every step's budget is booked under."""

BUILDS_ON: Mapping[str, tuple[str, ...]] = {
    BASE: (CATALOGUE,),
    GRAM: (CATALOGUE, BASE),
    HALF_STEP: (CATALOGUE, BASE, AXES),
}
"""The public documents that each step needs, by name."""

_PARTS = {"popularity": 0.30, "adoption": 0.08, "scalars": 0.02}
SHARES: Mapping[str, float] = {BASE: sum(_PARTS.values()), GRAM: 0.20, HALF_STEP: 0.40}
"""Each step's share of the privacy budget, as rho of zero-concentrated differential privacy."""

WEIGHTS = {part: math.sqrt(share / SHARES[BASE]) for part, share in _PARTS.items()}
"""What each part of the first vector is multiplied by; the squares are the parts' shares, and add up to 1."""


@dataclass(frozen=True)
class _Training(Question):
    """What all steps have in common. `catalogue` is public and names the items."""

    purpose: ClassVar[str] = PURPOSE

    catalogue: Catalogue = field(kw_only=True)

    @property
    def norm(self) -> float:
        """Every message is normalised."""
        return 1.0

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What no document says."""
        return {"shares": dict(SHARES), "weights": WEIGHTS, "top": on_device.TOP}

    def _bought(self, facts: Mapping[str, Fact], name: str = "items") -> NDArray[np.bool_]:
        names = facts.get(name)
        return self.catalogue.history(names if isinstance(names, frozenset) else ())


@dataclass(frozen=True)
class BaseStep(_Training):
    """Popularity, adoption and the scalars, one after the other, each times its weight."""

    entries: ClassVar[tuple[float, float]] = (0.0, 1.0)

    @property
    def length(self) -> int:
        """Two numbers an item, and two."""
        return 2 * len(self.catalogue.items) + 2

    def contribute(self, facts: Mapping[str, Fact]) -> Vector:
        """Return float64 [2 m + 2], L2 norm at most 1."""
        return first_vector(self._bought(facts), self._bought(facts, "adopted"))


def first_vector(bought: on_device.History, adopted: on_device.History) -> Vector:
    """Return popularity, adoption and scalars times their weights, float64 [2 m + 2], L2 norm at most 1."""
    return np.concatenate(
        [
            WEIGHTS["popularity"] * on_device.popularity(bought),
            WEIGHTS["adoption"] * on_device.adoption(adopted),
            WEIGHTS["scalars"] / on_device.SCALARS_NORM * on_device.scalars(bought),
        ]
    )


@dataclass(frozen=True)
class GramStep(_Training):
    """The taste over the most popular items, item by item."""

    entries: ClassVar[tuple[float, float]] = (-math.sqrt(0.5), 1.0)

    base: Base = field(kw_only=True)

    @property
    def length(self) -> int:
        """The entries of a triangle over the top items."""
        top = len(self.base.top)
        return top * (top + 1) // 2

    def contribute(self, facts: Mapping[str, Fact]) -> Vector:
        """Return float64 [N (N + 1) / 2], L2 norm at most 1."""
        return on_device.gram(self._bought(facts), self.base)


@dataclass(frozen=True)
class HalfStep(_Training):
    """The taste over all items along each axis."""

    entries: ClassVar[tuple[float, float]] = (-1.0, 1.0)

    base: Base = field(kw_only=True)
    axes: Vector = field(kw_only=True)

    @property
    def length(self) -> int:
        """One number an item and axis."""
        return len(self.catalogue.items) * int(self.axes.shape[1])

    def contribute(self, facts: Mapping[str, Fact]) -> Vector:
        """Return float64 [m * d], L2 norm at most 1."""
        return on_device.half_step(self._bought(facts), self.base, self.axes)


PURPOSES = frozenset({PURPOSE, "personalize"})


def base_step(catalogue: Catalogue) -> BaseStep:
    """Return the first step's question."""
    return BaseStep(
        BASE,
        PURPOSES,
        (
            "Which kinds of goods you ever bought, and which of them are new to you these twelve weeks, "
            "to learn what is popular. "
            "Your phone adds a little to each of them, hidden in noise and in the total of many phones."
        ),
        (
            "您买过哪些种类的商品、其中哪些是最近十二周才开始买的，用于了解什么受欢迎。"
            "您的手机只给每一种加上一点，混入噪声，并隐藏在众多手机的合计之中。"
        ),
        builds_on=BUILDS_ON[BASE],
        catalogue=catalogue,
    )


def gram_step(catalogue: Catalogue, base: Base) -> GramStep:
    """Return the second step's question."""
    return GramStep(
        GRAM,
        PURPOSES,
        (
            "Which of the most popular kinds of goods you buy together, compared with everyone. "
            "Your phone adds a little to each pair, hidden in noise and in the total of many phones."
        ),
        (
            "与大家相比，您会同时购买哪些最受欢迎的商品种类。"
            "您的手机只给每一对加上一点，混入噪声，并隐藏在众多手机的合计之中。"
        ),
        builds_on=BUILDS_ON[GRAM],
        catalogue=catalogue,
        base=base,
    )


def half_step(catalogue: Catalogue, base: Base, axes: Vector) -> HalfStep:
    """Return the third step's question; `axes`, float64 [N, d], are over the top items of `base`."""
    return HalfStep(
        HALF_STEP,
        PURPOSES,
        (
            "How your taste goes with each kind of goods, along a few common directions of taste. "
            "Your phone adds a little to each, hidden in noise and in the total of many phones."
        ),
        (
            "按几个共同的口味方向，您的口味与每一种商品有多相合。"
            "您的手机只给每一项加上一点，混入噪声，并隐藏在众多手机的合计之中。"
        ),
        builds_on=BUILDS_ON[HALF_STEP],
        catalogue=catalogue,
        base=base,
        axes=axes,
    )
