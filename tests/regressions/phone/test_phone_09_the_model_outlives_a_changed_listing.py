"""A model goes on ranking when the shop lists an item less, one more, or the same in another order."""

import hashlib
import os

import numpy as np
import pytest

from covey_models.recommender.steps import CATALOGUE, MODEL
from covey_privacy.catalogue_document import Level, Listing, sign_listing
from covey_privacy.release import Array, Figure, Release, sign_release
from covey_sdk.events import OrderLine

GROUPS = {"bread": "food", "coffee": "drink", "milk": "drink", "soap": "home", "tea": "drink"}
ITEMS = tuple(GROUPS)
ARRAYS = {
    "popularity": np.array([0.4, 0.1, 0.3, 0.05, 0.15]),
    "rate": np.full(5, 0.05),
    "factors": np.eye(5)[:, :2],
}


def listing_of(version, groups, key):
    levels = (Level.from_groups("department", tuple(groups.values())),)
    return sign_listing(Listing(version, tuple(groups), levels), key)


@pytest.fixture
def ready(device, shop, order):
    device.record(order(3, lines=(OrderLine("bread", "bakery", 300),)))
    listed = listing_of(1, GROUPS, shop.operator)
    arrays = tuple(Array.from_numpy(name, values) for name, values in ARRAYS.items())
    rests_on = (hashlib.sha256(listed).digest(),)
    named = Release(MODEL, 1, "p1-1", (Figure("mix", 0.5),), arrays, rests_on, ITEMS)
    device.adopt(CATALOGUE, listed)
    device.adopt(MODEL, sign_release(named, shop.operator))
    return device


def ranked(device, candidates=ITEMS):
    return [(each.item, each.score) for each in device.recommend(candidates, 9)]


def test_phone_09_the_model_outlives_a_changed_listing(ready, shop):
    before = ranked(ready)
    ready.adopt(CATALOGUE, listing_of(2, {k: v for k, v in GROUPS.items() if k != "soap"}, shop.operator))
    assert ranked(ready, [item for item in ITEMS if item != "soap"]) == [e for e in before if e[0] != "soap"]
    (gone,) = ready.recommend(["soap"], 1)
    assert gone.reasons[0].code == "unknown"


def test_the_same_items_in_another_order_rank_as_before(ready, shop):
    before = ranked(ready)
    ready.adopt(CATALOGUE, listing_of(2, dict(reversed(GROUPS.items())), shop.operator))
    assert ranked(ready) == before


def test_a_new_item_ranks_as_its_group_and_without_one_last(ready, shop):
    before = dict(ranked(ready))
    more = {"candle": "light", "cocoa": "drink", **GROUPS}
    ready.adopt(CATALOGUE, listing_of(2, more, shop.operator))
    answer = ranked(ready, tuple(more))
    assert [item for item, _ in answer if item in before] == list(before)
    drinks = np.mean([before[item] for item in ("coffee", "milk", "tea")])
    assert dict(answer)["cocoa"] == pytest.approx(drinks)
    assert answer[-1] == ("candle", 0.0)
    assert [score for _, score in answer[:-1]] == sorted(dict(answer[:-1]).values(), reverse=True)
    assert ready.explain("cocoa").reasons[0].about == "drink"


def test_a_new_item_that_was_bought_is_bought_again(ready, shop, order):
    ready.adopt(CATALOGUE, listing_of(2, {**GROUPS, "cocoa": "drink"}, shop.operator))
    ready.record(order(1, lines=(OrderLine("cocoa", "bakery", 300),)))
    again = ready.recommend(("cocoa", *ITEMS), 9, ranking="again")
    assert {each.item for each in again} == {"bread", "cocoa"}
    assert all(each.score > 0 for each in again)


def test_a_model_that_names_other_items_than_its_own_listing_is_not_used(ready, shop):
    listed = ready.releases.kept([CATALOGUE])[0]
    arrays = tuple(Array.from_numpy(name, values) for name, values in ARRAYS.items())
    for version, rests_on in enumerate([(hashlib.sha256(listed).digest(),), (os.urandom(32),) * 2], 2):
        items = ITEMS[::-1] if version == 2 else ITEMS
        wrong = Release(MODEL, version, f"p1-{version}", (Figure("mix", 0.5),), arrays, rests_on, items)
        ready.adopt(MODEL, sign_release(wrong, shop.operator))
        assert ready.releases.model() is None
