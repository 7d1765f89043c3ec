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
from heapq import merge
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from covey_models import repurchase
from covey_models.catalogue import Catalogue
from covey_models.errors import ModelError
from covey_models.recommender import on_device
from covey_sdk import event_checks, reasons
from covey_sdk.reasons import Reason

NEW = "new"
AGAIN = "again"
PUBLIC = "public_order"

MOST = 100_000
"""The most candidates, and the most items of an answer."""

ItemAges = Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class Model:
    """What the shop has learnt and released: the same for every phone.

    `factors`, float64 [items, d], have no column where popularity and adoption are all there is.
    `catalogue` has the items that the model was trained on, `listing` the shop's current items where they
    differ: an item that is gone from it is not ranked, a new one is scored as its group is. Raises ModelError
    when the parts do not fit each other.
    """

    catalogue: Catalogue
    base: on_device.Base
    factors: on_device.Vector
    mix: float
    version: int
    round_id: str
    listing: Catalogue | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.mix <= 1:
            raise ModelError(f"the model's mix is {self.mix}; a number from 0 to 1 was expected")
        on_device.score(self.catalogue.history(()), self.base, self.factors, self.mix)


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
    model: Model, bought: ItemAges, candidates: Sequence[str], k: int, ranking: str
) -> tuple[Recommendation, ...]:
    """Return the best k of what is new to the owner, or of what to buy again, the best first.

    Items that the model cannot score, or that the shop no longer lists, come last, in public order. Raises
    EventError for an argument that makes no sense.
    """
    names = check_request(candidates, k, ranking)
    wanted = [name for name in names if (name in bought) == (ranking == AGAIN)]
    places = model.catalogue.places
    today = places if model.listing is None else model.listing.places
    known = [places[name] for name in wanted if name in places and name in today]
    best = (_again if ranking == AGAIN else _new)(model, bought, np.array(known, dtype=np.intp), k)
    added = [name for name in wanted if name in today and name not in places]
    more: list[Recommendation] = []
    if added:
        more = _again_added(bought, added) if ranking == AGAIN else _new_added(model, bought, added)
        best = list(merge(best, more, key=lambda each: -each.score))[:k]
    ranked = {model.catalogue.items[place] for place in known} | {each.item for each in more}
    unknown = [name for name in wanted if name not in ranked][: k - len(best)]
    return (*best, *(_recommendation(name, reasons.of_unknown()) for name in unknown))


def public_order(candidates: Sequence[str], k: int, ranking: str) -> tuple[Recommendation, ...]:
    """Return the first k candidates. Raises EventError for an argument that makes no sense."""
    return tuple(
        _recommendation(name, reasons.of_public_order()) for name in check_request(candidates, k, ranking)[:k]
    )


def explain(model: Model | None, bought: ItemAges, item: str) -> Explanation:
    """Return what decides about an item, also about one that would never be shown."""
    event_checks.text(item, "item")
    if model is None:
        return Explanation(item, PUBLIC, 0.0, reasons.of_public_order())
    ranking = AGAIN if item in bought else NEW
    (one,) = recommend(model, bought, (item,), 1, ranking)
    return Explanation(item, ranking, one.score, one.reasons, model.version, model.round_id)


def check_request(candidates: Sequence[str], k: int, ranking: str) -> tuple[str, ...]:
    """Return the candidates, every name once. Raises EventError for an argument that makes no sense."""
    event_checks.integer(k, "k", 1, MOST)
    event_checks.one_of(ranking, "ranking", frozenset({NEW, AGAIN}))
    if isinstance(candidates, str) or not isinstance(candidates, Iterable):
        raise event_checks.wrong("candidates", "a list of item names", candidates)
    names = tuple(islice(candidates, MOST + 1))
    event_checks.items(names, "candidates", MOST)
    for name in names:
        event_checks.text(name, "a candidate")
    return tuple(dict.fromkeys(names))


def _new(model: Model, bought: ItemAges, known: NDArray[np.intp], k: int) -> list[Recommendation]:
    """Return the best k of the items at the `known` places, by what goes with the owner's items."""
    own = model.catalogue.history(bought)
    best = _best(on_device.score(own, model.base, model.factors, model.mix), known, k)
    parts = on_device.parts(own, model.base, model.factors, model.mix, best)
    items = model.catalogue.items
    owned = [items[place] for place in np.flatnonzero(own)]
    why = [reasons.of_new(parts, row, owned) for row in range(len(best))]
    return [_recommendation(items[place], each) for place, each in zip(best, why, strict=True)]


def _again(model: Model, bought: ItemAges, known: NDArray[np.intp], k: int) -> list[Recommendation]:
    """Return the best k of the items at the `known` places, by how often and how lately they were bought."""
    items = model.catalogue.items
    ages = [bought.get(item, ()) for item in items]
    days = np.array([len(each) for each in ages], dtype=np.float64)
    parts = repurchase.parts(days, np.array([repurchase.faded(each) for each in ages]), model.base.popularity)
    best = _best(parts.frequency + parts.recency + parts.popularity, known, k)
    return [_recommendation(items[place], reasons.of_again(parts, place, ages[place])) for place in best]


def _new_added(model: Model, bought: ItemAges, added: Sequence[str]) -> list[Recommendation]:
    """Return those of the `added` items that can be scored, the best first.

    An item that was listed after the training has the mean score of the items of its group that the model
    ranks for this owner, at the level with the most groups that holds any of them.
    """
    places, listing = model.catalogue.places, model.listing or model.catalogue
    scores = on_device.score(model.catalogue.history(bought), model.base, model.factors, model.mix)
    means: list[dict[str, float]] = []
    levels = sorted(listing.levels.values(), key=lambda groups: -len(set(groups)))
    for groups in levels:
        of_group: dict[str, list[float]] = {}
        for item, group in zip(listing.items, groups, strict=True):
            if item in places and np.isfinite(scores[places[item]]):
                of_group.setdefault(group, []).append(float(scores[places[item]]))
        means.append({group: float(np.mean(each)) for group, each in of_group.items()})
    found = []
    for name in added:
        place = listing.places[name]
        own = ((groups[place], mean) for groups, mean in zip(levels, means, strict=True))
        group, score = next(((group, mean[group]) for group, mean in own if group in mean), ("", 0.0))
        if group:
            found.append(_recommendation(name, reasons.of_group(score, group)))
    return sorted(found, key=lambda each: -each.score)


def _again_added(bought: ItemAges, added: Sequence[str]) -> list[Recommendation]:
    """Return the `added` items, all bought before, as an item of average popularity, the best first."""
    ages = [bought[name] for name in added]
    days = np.array([len(each) for each in ages], dtype=np.float64)
    average = np.full(len(added), 1 / len(added))
    parts = repurchase.parts(days, np.array([repurchase.faded(each) for each in ages]), average)
    found = [_recommendation(name, reasons.of_again(parts, row, ages[row])) for row, name in enumerate(added)]
    return sorted(found, key=lambda each: -each.score)


def _best(scores: on_device.Vector, places: NDArray[np.intp], k: int) -> NDArray[np.intp]:
    """Return the k of the places that score best, the first of equals first."""
    return places[np.argsort(-scores[places], kind="stable")[:k]]


def _recommendation(item: str, why: tuple[Reason, ...]) -> Recommendation:
    return Recommendation(item, sum([reason.amount for reason in why], 0.0), why)
