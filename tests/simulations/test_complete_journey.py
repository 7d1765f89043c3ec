import pandas as pd
import pytest

from covey_sdk.events import parse
from covey_simulations.data import complete_journey, item_catalogue, orders
from covey_simulations.errors import SetupError
from covey_simulations.scenarios import random_choices


@pytest.fixture(scope="module")
def some():
    return complete_journey.load_journey(60, seed=1)


def test_a_seed_draws_the_same_households(some):
    assert complete_journey.load_journey(60, seed=1).households == some.households
    assert complete_journey.load_journey(60, seed=2).households != some.households


def test_every_order_is_one_the_sdk_takes(some):
    taken = [parse(order) for household in some.households for order in some.orders(household)]
    assert len(taken) > 1000
    assert all(order.total_minor > 0 and order.currency == "USD" for order in taken)


def test_orders_end_at_the_cut_and_carry_their_local_time(some):
    told = [order for household in some.households for order in some.orders(household)]
    assert max(order["at_ms"] for order in told) < orders.CUT.timestamp() * 1000
    assert {order["tz_offset_min"] for order in told} == {-300, -240}


def test_orders_of_a_household_come_oldest_first_and_each_once(some):
    for household in some.households:
        told = some.orders(household)
        assert [order["at_ms"] for order in told] == sorted(order["at_ms"] for order in told)
        assert len({order["order_id"] for order in told}) == len(told)


def test_households_can_be_drawn_among_those_who_grant():
    chosen = complete_journey.load_journey(30, seed=1, purposes=["analytics"]).households
    assert len(chosen) == 30
    assert all("analytics" in random_choices.grants(1, household) for household in chosen)


@pytest.mark.parametrize("count", [0, 2470])
def test_more_households_than_there_are(count):
    with pytest.raises(SetupError, match="there are 1 to 2469"):
        complete_journey.load_journey(count, seed=1)


def test_a_level_with_none_above_it_still_has_its_groups():
    products = pd.DataFrame({"product_category": ["tea", None, "milk", "tea"], "department": list("abcd")})
    assert list(item_catalogue.group_items(products, "product_category", ()).index) == ["milk", "tea"]
