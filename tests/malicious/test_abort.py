"""A coordinator that aborts once it has the masked vectors, again and again: phones charge, and stop."""

from __future__ import annotations

from itertools import pairwise

import pytest

from covey_privacy.errors import AbortError, BudgetError
from covey_privacy.five_phases import Aggregator
from covey_privacy.rules import Rule
from covey_sdk.door import Door
from covey_simulations.fleet import Fleet

pytestmark = pytest.mark.slow  # The five-phase protocol is about to be replaced.

ATTEMPTS = 20


@pytest.fixture
def aborting(monkeypatch):
    """Let the coordinator abort after each masked phase; return how many sums it had then, and who opened."""
    vectors, opened = [], []

    def abort(self, partials):
        sums = list(partials)
        vectors.append(len(sums))
        raise AbortError("it has what it wants", rule=Rule.SURVIVORS_NOISE)

    monkeypatch.setattr(Aggregator, "survive", abort)
    for phase in ("_agree", "_open"):
        monkeypatch.setattr(Fleet, phase, lambda _, body: opened.append(body))
    return vectors, opened


@pytest.mark.slow
def test_twenty_aborts_cost_the_phones_budget_and_open_nothing(small_shop, aborting, refuses):
    vectors, opened = aborting
    shop = small_shop(count=20, slots=ATTEMPTS)
    household = shop.world.households[0]
    phones = shop.phones()
    spent = [0.0]
    for _ in range(ATTEMPTS):
        with pytest.raises(AbortError):
            shop.ask("q1=0.7")
        with phones.open(household) as device:
            spent.append(device.odometer.spent(device.clock.now()))
    played = len(vectors)
    assert 2 <= played < 20
    assert all(before < after for before, after in pairwise(spent[: played + 1]))
    assert set(spent[played:]) == {spent[played]}
    assert spent[-1] <= 2.0
    assert opened == []
    assert len(shop.results()) == ATTEMPTS
    assert not any("sum" in result for result in shop.results())
    assert shop.stored(lambda store: store.charges()) == ()
    last = shop.results()[-1]["round_id"]
    with phones.open(household) as device, refuses(BudgetError, Rule.BUDGET):
        Door(device).advertise(shop.signed_manifest(last))


def test_a_round_that_was_aborted_is_charged_once_and_stays_charged(small_shop, aborting):
    vectors, opened = aborting
    shop = small_shop(count=20)
    with pytest.raises(AbortError):
        shop.ask("q1=1.4")
    (aborted,) = shop.results()
    assert vectors == [2]
    assert opened == []
    for household, phone in ((h, shop.phones()) for h in shop.world.households[:3]):
        with phone.open(household) as device:
            assert 1.3 < device.odometer.spent(device.clock.now()) <= 1.4
    assert len(shop.sent(aborted["round_id"])) == 20
