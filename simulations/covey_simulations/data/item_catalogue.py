"""The items of the simulated shop: product types of the data set with their groups, as a catalogue.

Types whose category the shop does not map to `ordinary` are left out: no recommender is to know them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from covey_models import Catalogue
from covey_simulations.data import shop_rules

LEVELS = ("department", "product_category")


def build_catalogue(products: pd.DataFrame) -> Catalogue:
    """Return the catalogue of the data set's products."""
    groups, rules = group_items(products, "product_type", LEVELS), shop_rules.rules()
    ordinary = groups[[rules.is_ordinary(category) for category in groups["product_category"]]]
    levels = {level: tuple(ordinary[level]) for level in LEVELS}
    return Catalogue(tuple(ordinary.index), levels)


def group_items(products: pd.DataFrame, level: str, above: Iterable[str]) -> pd.DataFrame:
    """Return for each item of a level, sorted by name, the groups above that most of its products are in."""
    known = products.dropna(subset=[level]).fillna("UNKNOWN")
    items = sorted(known[level].unique())
    return pd.DataFrame({name: _most(known, level, name) for name in above}, index=items)


def _most(products: pd.DataFrame, level: str, name: str) -> pd.Series:
    """Return the commonest value of column `name` for each item of a level; of equals, the first by name."""
    counts = products.groupby([level, name]).size().reset_index(name="products")
    return (
        counts.sort_values([level, "products", name], ascending=[True, False, True])
        .groupby(level)[name]
        .first()
    )


def write_catalogue(catalogue: Catalogue, path: Path) -> None:
    """Write the catalogue as the coordinator reads it."""
    path.write_text(json.dumps({"items": catalogue.items, "levels": dict(catalogue.levels)}), "utf-8")
