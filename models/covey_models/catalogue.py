"""The catalogue: the items that a recommender knows and their public taxonomy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from covey_models.errors import ModelError

LEAST_ITEMS = 8
"""A group of the taxonomy is a feature when it holds more items than this."""


@dataclass(frozen=True)
class Catalogue:
    """Public item names in their order, and for each level of the taxonomy the group of every item.

    Raises ModelError when there is no item, a name stands twice, or a level does not name every item's group.
    """

    items: tuple[str, ...]
    levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.items or len(set(self.items)) < len(self.items):
            raise ModelError("a catalogue needs at least one item, and every name once")
        for level, groups in self.levels.items():
            if len(groups) != len(self.items):
                raise ModelError(f"{level!r} names {len(groups)} groups for {len(self.items)} items")

    def history(self, names: Iterable[str]) -> NDArray[np.bool_]:
        """Return bool [items], true for each of `names`; a name that the catalogue lacks is left out."""
        known = [self.places[name] for name in names if name in self.places]
        bought = np.zeros(len(self.items), dtype=bool)
        bought[known] = True
        return bought

    def features(self) -> NDArray[np.float64] | None:
        """Return float64 [items, groups + 1], or None when the catalogue has no taxonomy.

        One-hot columns of each level's groups with more than `LEAST_ITEMS` items, each row scaled to L2
        norm 1 (or 0 where no group is large enough), and a column of ones.
        """
        if not self.levels:
            return None
        columns = [_large_groups(groups) for groups in self.levels.values()]
        hot = np.concatenate(columns, axis=1)
        rows = hot / np.sqrt(np.maximum(hot.sum(axis=1, keepdims=True), 1.0))
        return np.concatenate([rows, np.ones((len(self.items), 1))], axis=1)

    @cached_property
    def places(self) -> Mapping[str, int]:
        """Where each item stands."""
        return {name: place for place, name in enumerate(self.items)}


def _large_groups(groups: tuple[str, ...]) -> NDArray[np.float64]:
    """Return the one-hot columns, float64 [items, kept groups], of the groups large enough to be features."""
    names, place, size = np.unique(np.array(groups), return_inverse=True, return_counts=True)
    hot: NDArray[np.float64] = np.eye(len(names))[place]
    return hot[:, size > LEAST_ITEMS]
