"""Federated analytics queries: what one device adds, and what is read from the noisy total.

A query is a frozen value. Its `contribute` runs on the phone, its `release` on the server, and its `digest`
names it in a round's manifest.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import accumulate
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from covey_models.errors import ModelError
from covey_models.histogram import Bins, Categories, Fact, LogBins, one_hot, suppressed
from covey_models.question import Question

K_MIN = 50
"""No cell that counts fewer people than this is released."""

SEGMENTS = (
    "important_value",
    "important_keep",
    "important_develop",
    "important_win_back",
    "general_value",
    "general_keep",
    "general_develop",
    "general_win_back",
)
"""The eight cells of recency, frequency and monetary value, each near or far, high or low."""


@dataclass(frozen=True)
class Query(Question):
    """A question answered with a one-hot histogram for each fact it asks for."""

    purpose: ClassVar[str] = "analytics"
    entries: ClassVar[tuple[float, float]] = (0.0, 1.0)

    @property
    @abstractmethod
    def histograms(self) -> Mapping[str, Bins]:
        """The bins of each fact, in the order in which they stand in the vector."""

    @abstractmethod
    def release(self, total: NDArray[np.float64], sd: float, k_min: int = K_MIN) -> dict[str, Any]:
        """Return what may be published of the noisy total, float64 [length], as plain JSON values.

        `sd` is the standard deviation of the noise on each entry. None stands for what is not released: less
        than `k_min` people or three standard deviations. Raises ModelError for a total of another shape.
        """

    @property
    def length(self) -> int:
        """The number of entries of a contribution."""
        return sum(bins.count for bins in self.histograms.values())

    @property
    def norm(self) -> float:
        """The largest L2 norm of a contribution."""
        return math.sqrt(len(self.histograms))

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The facts and their bins."""
        return {"histograms": [[fact, asdict(bins)] for fact, bins in self.histograms.items()]}

    def contribute(self, facts: Mapping[str, Fact]) -> NDArray[np.float64]:
        """Return what a device with these facts adds, float64 [length]; zeros where it has nothing to say.

        Raises ModelError for a fact that is not finite or not a known name.
        """
        return np.concatenate([_cells(bins, facts.get(fact)) for fact, bins in self.histograms.items()])

    def _split(self, total: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        """Return the total cut into its histograms."""
        if total.shape != (self.length,):
            raise ModelError(f"a total of shape {total.shape} came; query {self.id} takes ({self.length},)")
        ends = accumulate(bins.count for bins in self.histograms.values())
        return np.split(total, list(ends)[:-1])


@dataclass(frozen=True)
class Counts(Query):
    """How many people are in each of the named groups of one fact."""

    fact: str
    groups: Categories

    @property
    def histograms(self) -> Mapping[str, Bins]:
        """The groups of the one fact."""
        return {self.fact: self.groups}

    def release(self, total: NDArray[np.float64], sd: float, k_min: int = K_MIN) -> dict[str, Any]:
        """Return {group: people}."""
        (counts,) = self._split(total)
        return dict(zip(self.groups.names, suppressed(counts, max(k_min, 3 * sd)), strict=True))


@dataclass(frozen=True)
class Medians(Query):
    """The median of each of some numbers; `bins` gives {name: (fact, its log bins)}."""

    bins: Mapping[str, tuple[str, LogBins]]

    @property
    def histograms(self) -> Mapping[str, Bins]:
        """The log bins of each fact."""
        return dict(self.bins.values())

    def release(self, total: NDArray[np.float64], sd: float, k_min: int = K_MIN) -> dict[str, Any]:
        """Return {name: median, ..., "histograms": {name: people in each bin}}."""
        counts = dict(zip(self.bins, self._split(total), strict=True))
        medians = {
            name: bins.median(counts[name], max(k_min, 3 * sd * math.sqrt(bins.count)))
            for name, (_, bins) in self.bins.items()
        }
        cells = {name: suppressed(column, max(k_min, 3 * sd)) for name, column in counts.items()}
        return {**medians, "histograms": cells}


def _cells(bins: Bins, fact: Fact) -> NDArray[np.float64]:
    """Return one fact's part of a contribution, float64 [bins.count]."""
    return np.zeros(bins.count) if fact is None else one_hot(bins.index(fact), bins.count)


_PURPOSES = frozenset({"analytics", "personalize"})

_Q1 = Counts(
    id="q1",
    builds_on=("q20",),
    purposes=_PURPOSES,
    english=(
        "Which of eight customer groups you are in, by how recently, how often and for how much you buy. "
        "Your phone adds 1 to your group, hidden in noise and in the total of many phones."
    ),
    chinese=(
        "您属于八个客户分组中的哪一个（按最近购买时间、购买次数和金额划分）。"
        "您的手机只给所在分组加 1，混入噪声，并隐藏在众多手机的合计之中。"
    ),
    fact="segment",
    groups=Categories(SEGMENTS),
)

_Q20 = Medians(
    id="q20",
    purposes=_PURPOSES,
    english=(
        "How many days ago you last ordered, how many orders you made, and what one costs on average, "
        "each as one of 32 ranges. "
        "Your phone adds 1 to three ranges, hidden in noise and in the total of many phones."
    ),
    chinese=(
        "您上次下单距今的天数、订单数量和平均每单金额，各归入 32 个区间之一。"
        "您的手机只给其中三个区间各加 1，混入噪声，并隐藏在众多手机的合计之中。"
    ),
    bins=MappingProxyType(
        {
            "recency": ("recency_days", LogBins(1, 400)),
            "frequency": ("orders", LogBins(1, 1000)),
            "monetary": ("mean_order_minor", LogBins(100, 100_000)),
        }
    ),
)

QUERIES: Mapping[str, Query] = MappingProxyType({query.id: query for query in (_Q1, _Q20)})
"""The queries that this version can answer, by id."""
