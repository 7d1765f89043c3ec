"""The recommender: the phone ranks the shop's items for its owner, and says why in parts that add up.

    recommend(model, bought, candidates, 10, "new")   # what goes with what the owner buys
    public_order(candidates, 10)                      # the same list for everyone

Pure: what was bought is an argument, and nothing is kept. `bought` gives, for each item, how many days ago it
was bought, the oldest first. `candidates` are the shop's items in its public order; a name that comes again
counts where it came first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from covey_models import again, p1
from covey_models.catalogue import Catalogue
from covey_models.errors import ModelError
from covey_sdk import checks, reasons
from covey_sdk.reasons import Reason

NEW = "new"
AGAIN = "again"
PUBLIC = "public_order"

MOST = 100_000
"""The most candidates, and the most items of an answer."""

Bought = Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class Model:
    """What the shop has learnt and released: the same for every phone.

    `factors`, float64 [items, d], have no column where popularity and adoption are all there is. Raises
    ModelError when the parts do not fit each other.
    """

    catalogue: Catalogue
    base: p1.Base
    factors: p1.Vector
    mix: float
    version: int
    round_id: str

    def __post_init__(self) -> None:
        if not 0 <= self.mix <= 1:
            raise ModelError(f"the model's mix is {self.mix}; a number from 0 to 1 was expected")
        p1.score(self.catalogue.history(()), self.base, self.factors, self.mix)


@dataclass(frozen=True, slots=True)
class Recommendation:
    """An item and why it ranks where it does. The reasons' amounts add up to the score.

    A score of 0 is the average item's, and stands where none was computed; the order of the answer is the
    ranking.
    """

    item: str
    score: float
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What decides about one item: in the `ranking` "new" or "again" by a model, else in "public_order"."""

    item: str
    ranking: str
    score: float
    reasons: tuple[Reason, ...]
    model_version: int | None = None
    round_id: str | None = None


def recommend(
    model: Model, bought: Bought, candidates: Sequence[str], k: int, ranking: str
) -> tuple[Recommendation, ...]:
    """Return the best k of what is new to the owner, or of what to buy again, the best first.

    Items that the model does not know come last, in public order. Raises EventError for an argument that
    makes no sense.
    """
    names = asked(candidates, k, ranking)
    wanted = [name for name in names if (name in bought) == (ranking == AGAIN)]
    places = model.catalogue.places
    known = [places[name] for name in wanted if name in places]
    best = (_again if ranking == AGAIN else _new)(model, bought, np.array(known, dtype=np.intp), k)
    unknown = [name for name in wanted if name not in places][: k - len(best)]
    return (*best, *(_recommendation(name, reasons.of_unknown()) for name in unknown))


def public_order(candidates: Sequence[str], k: int, ranking: str) -> tuple[Recommendation, ...]:
    """Return the first k candidates. Raises EventError for an argument that makes no sense."""
    return tuple(
        _recommendation(name, reasons.of_public_order()) for name in asked(candidates, k, ranking)[:k]
    )


def explain(model: Model | None, bought: Bought, item: str) -> Explanation:
    """Return what decides about an item, also about one that would never be shown."""
    checks.text(item, "item")
    if model is None:
        return Explanation(item, PUBLIC, 0.0, reasons.of_public_order())
    ranking = AGAIN if item in bought else NEW
    (one,) = recommend(model, bought, (item,), 1, ranking)
    return Explanation(item, ranking, one.score, one.reasons, model.version, model.round_id)


def asked(candidates: Sequence[str], k: int, ranking: str) -> tuple[str, ...]:
    """Return the candidates, every name once. Raises EventError for an argument that makes no sense."""
    checks.integer(k, "k", 1, MOST)
    checks.one_of(ranking, "ranking", frozenset({NEW, AGAIN}))
    if isinstance(candidates, str) or not isinstance(candidates, Iterable):
        raise checks.wrong("candidates", "a list of item names", candidates)
    names = tuple(islice(candidates, MOST + 1))
    checks.items(names, "candidates", MOST)
    for name in names:
        checks.text(name, "a candidate")
    return tuple(dict.fromkeys(names))


def _new(model: Model, bought: Bought, known: NDArray[np.intp], k: int) -> list[Recommendation]:
    """Return the best k of the items at the `known` places, by what goes with the owner's items."""
    own = model.catalogue.history(bought)
    best = _best(p1.score(own, model.base, model.factors, model.mix), known, k)
    parts = p1.parts(own, model.base, model.factors, model.mix, best)
    items = model.catalogue.items
    owned = [items[place] for place in np.flatnonzero(own)]
    why = [reasons.of_new(parts, row, owned) for row in range(len(best))]
    return [_recommendation(items[place], each) for place, each in zip(best, why, strict=True)]


def _again(model: Model, bought: Bought, known: NDArray[np.intp], k: int) -> list[Recommendation]:
    """Return the best k of the items at the `known` places, by how often and how lately they were bought."""
    items = model.catalogue.items
    ages = [bought.get(item, ()) for item in items]
    days = np.array([len(each) for each in ages], dtype=np.float64)
    parts = again.parts(days, np.array([again.faded(each) for each in ages]), model.base.popularity)
    best = _best(parts.frequency + parts.recency + parts.popularity, known, k)
    return [_recommendation(items[place], reasons.of_again(parts, place, ages[place])) for place in best]


def _best(scores: p1.Vector, places: NDArray[np.intp], k: int) -> NDArray[np.intp]:
    """Return the k of the places that score best, the first of equals first."""
    return places[np.argsort(-scores[places], kind="stable")[:k]]


def _recommendation(item: str, why: tuple[Reason, ...]) -> Recommendation:
    return Recommendation(item, sum([reason.amount for reason in why], 0.0), why)
