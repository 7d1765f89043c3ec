"""Ticket batches that the person was issued within a year and that this store knows nothing of.

With each batch the registry says how many the person was issued for the purpose set within a year. What is
beyond the batches that this store fetched went to a phone of theirs before a reinstall, or to a second one.
The odometer cannot know what those spent, so each counts as spent at the rate at which a year's batches spend
the cap: 1/n of the cap of every purpose in the set, where n is the most batches in a year.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from covey_privacy import wire
from covey_sdk.clock import milliseconds, milliseconds_after
from covey_sdk.store import Store
from covey_sdk.stored_value import StoredValue

YEAR = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class _Fetched:
    """A batch that this store fetched."""

    purposes: wire.Names
    at: wire.U64


@dataclass(frozen=True, slots=True)
class _Elsewhere:
    """How many of the `yearly` batches of a purpose set went elsewhere, as the registry said at `at`."""

    purposes: wire.Names
    batches: wire.U32
    yearly: Annotated[int, wire.Range(1, 2**32 - 1)]
    at: wire.U64


@dataclass(frozen=True, slots=True)
class _Known:
    fetched: Annotated[tuple[_Fetched, ...], wire.Size(0, 100_000)] = ()
    elsewhere: Annotated[tuple[_Elsewhere, ...], wire.Size(0, 64)] = ()


class Issuances:
    """The batches that a store knows of."""

    def __init__(self, store: Store) -> None:
        self._known = StoredValue(store, "issuances", _Known())

    def record(self, purposes: tuple[str, ...], issued: int, yearly: int, now: datetime) -> None:
        """Write down a batch that was fetched, in the caller's transaction.

        Args:
            issued: batches for `purposes` within a year that the registry counts, with this one.
            yearly: the most that it issues to one person in a year.
        """
        known, oldest = self._known.read(), milliseconds_after(now, -YEAR)
        recent = [batch for batch in known.fetched if batch.at > oldest]
        fetched = (*recent, _Fetched(purposes, milliseconds(now)))
        own = sum(batch.purposes == purposes for batch in fetched)
        entry = _Elsewhere(purposes, max(0, issued - own), yearly, milliseconds(now))
        others = tuple(other for other in known.elsewhere if other.purposes != purposes)
        self._known.write(_Known(fetched, (*others, entry)))

    def shares(self, now: datetime) -> Mapping[str, float]:
        """Return the share of each purpose's yearly cap, 0 to 1, that counts as spent elsewhere."""
        oldest, shares = milliseconds_after(now, -YEAR), dict[str, float]()
        for entry in self._known.read().elsewhere:
            if entry.at > oldest and entry.batches:
                for purpose in entry.purposes:
                    share = shares.get(purpose, 0.0) + entry.batches / entry.yearly
                    shares[purpose] = min(1.0, share)
        return shares
