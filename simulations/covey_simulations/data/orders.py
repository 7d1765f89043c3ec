"""The shop's orders of simulated households, as files that phones read once."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import cbor2

from covey_simulations.errors import SetupError

DATASET = "Complete Journey (dunnhumby)"
ZONE = ZoneInfo("America/New_York")
CUT = datetime(2017, 12, 4, tzinfo=ZONE)
"""Orders before this moment are the phones' past; the simulation begins here."""
WINDOW = timedelta(days=28)
"""What is bought within so long after the cut is what recommendations are held against."""
CURRENCY = "USD"

_ERROR = re.compile(r"[\w.]*Error: ")
"""How the last line of a traceback begins: with the error's class, which is for nobody's eyes but ours."""

CATALOGUE, UPCOMING = "catalogue.json", "upcoming.json"
"""Files beside the orders: the shop's items, and what each household goes on to buy."""


def prepare_orders(
    folder: Path, seed: int, count: int | None, purposes: Collection[str] = ()
) -> tuple[int, ...]:
    """Draw households of the Complete Journey and write their orders to `folder`; return their ids.

    Of those alone that grant all the `purposes`. Raises SetupError with what the data set's reader said.
    """
    arguments = [str(folder), str(seed), "" if count is None else str(count), *sorted(purposes)]
    done = subprocess.run(  # noqa: S603  # our own module with numbers and a folder as arguments
        [sys.executable, "-m", "covey_simulations.data.complete_journey", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"its reader ended with {done.returncode}"])[-1]
        crashed = _ERROR.match(said)
        raise SetupError(f"the data set cannot be read: {said[crashed.end() :]}" if crashed else said)
    return tuple(sorted(int(path.stem) for path in folder.glob("*.cbor")))


def read_orders(folder: Path, household: int) -> list[Mapping[str, Any]]:
    """Return a household's orders as events that `covey_sdk.events.parse` takes."""
    orders: list[Mapping[str, Any]] = cbor2.loads((folder / f"{household}.cbor").read_bytes())
    return orders


def read_upcoming_items(folder: Path) -> dict[int, frozenset[str]]:
    """Return what each household buys after the cut: for the simulation's eyes alone."""
    found: dict[str, list[str]] = json.loads((folder / UPCOMING).read_text("utf-8"))
    return {int(household): frozenset(items) for household, items in found.items()}
