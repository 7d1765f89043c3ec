"""Histories: what households bought and what their phones ranked, as rows of tables over a catalogue."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from covey_models.catalogue import Catalogue
from covey_simulations.errors import RunError
from covey_simulations.evaluation.metrics import K

Bought = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Household:
    """What one phone holds and ranked, and what its household bought in the 28 days that followed.

    `adopted` is what of `items` was first bought in the last 84 days, `counts` the days on which each was
    bought. `new` and `again` are the first ten of the phone's rankings; both are empty when it ranks nothing.
    `upcoming` is known to the simulation alone.
    """

    id: int
    items: frozenset[str]
    adopted: frozenset[str]
    counts: Mapping[str, int]
    new: tuple[str, ...]
    again: tuple[str, ...]
    upcoming: frozenset[str]


@dataclass(frozen=True, eq=False)
class Histories:
    """Households as rows: tables of [households, items], and rankings as places, [households, 10].

    A place of `items` stands where a ranking is shorter than ten or names what the catalogue lacks.
    """

    ids: NDArray[np.int64]
    bought: Bought
    adopted: Bought
    counts: NDArray[np.int16]
    upcoming: Bought
    new: NDArray[np.intp]
    again: NDArray[np.intp]

    @property
    def ranking(self) -> Histories:
        """The households whose phones ranked something."""
        nothing = self.bought.shape[1]
        return self._rows((self.new < nothing).any(axis=1) | (self.again < nothing).any(axis=1))

    def of(self, ids: Collection[int]) -> Histories:
        """Return these households alone. Raises RunError for one that is not here, or none at all."""
        missing = set(ids) - set(self.ids.tolist())
        if missing or not ids:
            raise RunError(
                f"{len(missing)} of the {len(ids)} households in a training step are not among the "
                f"{len(self.ids)} that were given; all of them, and at least one, are needed"
            )
        return self._rows(np.isin(self.ids, list(ids)))

    def _rows(self, chosen: Bought) -> Histories:
        return Histories(*(getattr(self, field.name)[chosen] for field in fields(self)))


def tabulate_histories(households: Sequence[Household], catalogue: Catalogue) -> Histories:
    """Return the households as rows, in their order."""
    places = {item: place for place, item in enumerate(catalogue.items)}
    return Histories(
        np.array([each.id for each in households]),
        np.array([catalogue.history(each.items) for each in households]),
        np.array([catalogue.history(each.adopted) for each in households]),
        np.array([_counted(each.counts, places) for each in households]),
        np.array([catalogue.history(each.upcoming) for each in households]),
        np.array([_ranked(each.new, places) for each in households]),
        np.array([_ranked(each.again, places) for each in households]),
    )


def _counted(counts: Mapping[str, int], places: Mapping[str, int]) -> NDArray[np.int16]:
    row = np.zeros(len(places), np.int16)
    for item, count in counts.items():
        if item in places:
            row[places[item]] = count
    return row


def _ranked(ranking: Iterable[str], places: Mapping[str, int]) -> list[int]:
    """Return the places of the first ten, each item once, filled up with the place of nothing."""
    first = [places.get(item, len(places)) for item in dict.fromkeys(ranking)][:K]
    return first + [len(places)] * (K - len(first))
