"""No item of the weeks that recommendations are held against is visible in training.

A small shop of its own: many households take to one product type on the day of the cut, and to another the
day before.
"""

from __future__ import annotations

import json
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from covey_models import Catalogue
from covey_models.recommender import release, steps
from covey_sdk import facts
from covey_sdk.events import parse
from covey_sdk.history_builder import history
from covey_simulations.data import complete_journey, orders, shop_rules

SEED = 1
HOUSEHOLDS = tuple(range(1, 31))
AHEAD, JUST = "SNOW SHOVELS", "CANDY CANES"
USUAL = tuple(f"TYPE {number:02}" for number in range(20))
TYPES = (*USUAL, JUST, AHEAD)


def line(household, product, moment, basket):
    return {
        "household_id": household,
        "basket_id": basket,
        "product_id": product,
        "quantity": 1,
        "sales_value": 2.5,
        "retail_disc": 0.0,
        "coupon_disc": 0.0,
        "coupon_match_disc": 0.0,
        "transaction_timestamp": pd.Timestamp(moment).tz_convert("UTC").tz_localize(None),
    }


def bought(ahead):
    """A usual history each; then what most buy on the last day before the cut, and from the cut on."""
    for household in HOUSEHOLDS:
        for place in range(6):
            moment = orders.CUT - timedelta(days=7 * place + 1 + household % 5)
            yield line(household, (3 * place + household) % 20, moment, 100 * household + place)
        if household % 4:
            yield line(household, 20, orders.CUT - timedelta(seconds=1), 100 * household + 90)
            for day in ahead:
                yield line(household, 21, orders.CUT + timedelta(days=day), 100 * household + 91 + day)


def data(ahead):
    products = pd.DataFrame(
        {
            "product_id": range(len(TYPES)),
            "product_type": TYPES,
            "product_category": [("COFFEE", "TEAS", "WATER")[place // 11] for place in range(len(TYPES))],
            "department": "GROCERY",
        }
    )
    return {"transactions": pd.DataFrame(list(bought(ahead))), "products": products}


@pytest.fixture
def extracted(tmp_path, monkeypatch):
    """Extract a data set whose households buy AHEAD these days after the cut; return the folder."""

    def extracted(*ahead):
        folder = tmp_path / "-".join(map(str, ("days", *ahead)))
        with monkeypatch.context() as patch:
            patch.setattr(complete_journey, "get_data", lambda _: data(ahead))
            complete_journey.extract_archive(folder, SEED, None, "")
        return folder

    return extracted


def facts_of(folder):
    """What each household's phone would learn from, on the day of the cut."""
    told = {h: [parse(order) for order in orders.read_orders(folder, h)] for h in HOUSEHOLDS}
    rules = shop_rules.rules()
    return {h: facts.facts(history(events, rules, orders.CUT), rules) for h, events in told.items()}


def catalogue_of(folder):
    found = json.loads((folder / orders.CATALOGUE).read_text("utf-8"))
    levels = {level: tuple(groups) for level, groups in found["levels"].items()}
    return Catalogue(tuple(found["items"]), levels)


def contributions(folder):
    """What all phones add to each step, float64 [households, length] each, and the catalogue."""
    catalogue, known = catalogue_of(folder), facts_of(folder).values()
    first = np.array([steps.base_step(catalogue).contribute(each) for each in known])
    base = release.first_sum(first.sum(axis=0), 0.0, None)
    gram = np.array([steps.gram_step(catalogue, base).contribute(each) for each in known])
    axes = release.axes(gram.sum(axis=0), 0.0, 2)
    half = np.array([steps.half_step(catalogue, base, axes).contribute(each) for each in known])
    return catalogue, (first, gram, half)


WINDOW = (0, 1, 13, 27)


def test_the_window_is_bought_in_and_no_phone_reads_it(extracted):
    folder = extracted(*WINDOW)
    upcoming = orders.read_upcoming_items(folder)
    assert sum(AHEAD in items for items in upcoming.values()) == 23
    files = {household: (folder / f"{household}.cbor").read_bytes() for household in HOUSEHOLDS}
    assert not [household for household, told in files.items() if AHEAD.encode() in told]
    assert sum(JUST.encode() in told for told in files.values()) == 23
    assert AHEAD in catalogue_of(folder).items


def test_facts_end_with_the_day_before_the_cut(extracted):
    known = facts_of(extracted(*WINDOW)).values()
    assert not [each for each in known if AHEAD in each["items"] | each["adopted"]]
    assert sum(JUST in each["items"] and JUST in each["adopted"] for each in known) == 23


def test_the_first_step_has_nothing_in_its_place(extracted):
    catalogue, (first, _, _) = contributions(extracted(*WINDOW))
    items = len(catalogue.items)
    for place in (catalogue.places[AHEAD], items + catalogue.places[AHEAD]):
        assert not first[:, place].any()
    for place in (catalogue.places[JUST], items + catalogue.places[JUST]):
        assert np.count_nonzero(first[:, place]) == 23


def test_every_step_is_the_same_whatever_the_window_holds(extracted):
    """A taste speaks about items that were not bought too, so that a place alone would not tell."""
    with_window, without = extracted(*WINDOW), extracted()
    for household in HOUSEHOLDS:
        name = f"{household}.cbor"
        assert (with_window / name).read_bytes() == (without / name).read_bytes()
    (catalogue, seen), (same, unseen) = contributions(with_window), contributions(without)
    assert catalogue == same
    for one, other in zip(seen, unseen, strict=True):
        assert one.any()
        assert one.tolist() == other.tolist()


def test_a_day_sooner_every_step_would_see_it(extracted):
    """The test can fail: what is bought before the cut changes every vector."""
    catalogue, seen = contributions(extracted(-1))
    _, unseen = contributions(extracted())
    for one, other in zip(seen, unseen, strict=True):
        assert not np.allclose(one, other)
    assert np.count_nonzero(seen[0][:, catalogue.places[AHEAD]]) == 23
