import pytest

from covey_privacy.dp import Caps, Charge, SkellamMechanism, epsilon, require_room, spent
from covey_privacy.errors import BudgetError

DELTA = 1e-6
ROUND = SkellamMechanism(10, 100, 10_000.0)
ONE = epsilon([ROUND], DELTA)
TWO = epsilon([ROUND] * 2, DELTA)


def charge(round_id, purpose="analytics"):
    return Charge(round_id, purpose, ROUND)


def test_spending_is_counted_by_purpose_and_together():
    charges = [charge("r1"), charge("r2", "train")]
    assert spent(charges, "analytics", delta=DELTA).epsilon == ONE
    assert spent(charges, delta=DELTA).epsilon == TWO
    assert spent(charges, "marketing", delta=DELTA).epsilon == 0.0


def test_a_round_that_comes_exactly_to_the_caps_fits():
    require_room([charge("r1")], charge("r2"), Caps({"analytics": TWO}, TWO, DELTA))


def test_a_round_past_its_purposes_cap_is_refused_and_the_line_says_why():
    caps = Caps({"analytics": (ONE + TWO) / 2}, 100.0, DELTA)
    require_room([], charge("r1"), caps)
    with pytest.raises(
        BudgetError,
        match=rf"'r2' .*'analytics' to epsilon {TWO:.3f}; the cap is {caps.per_purpose['analytics']:.3f}",
    ):
        require_room([charge("r1")], charge("r2"), caps)


def test_a_round_past_the_cap_of_all_purposes_is_refused():
    caps = Caps({"analytics": 100.0, "train": 100.0}, (ONE + TWO) / 2, DELTA)
    with pytest.raises(BudgetError, match="all purposes together"):
        require_room([charge("r1", "train")], charge("r2"), caps)


def test_other_purposes_do_not_fill_a_purposes_cap():
    require_room([charge("r1", "train")] * 5, charge("r2"), Caps({"analytics": ONE}, 100.0, DELTA))


def test_a_purpose_without_a_cap_may_spend_nothing():
    with pytest.raises(BudgetError, match=r"the cap is 0\.000"):
        require_room([], charge("r1", "marketing"), Caps({"analytics": 100.0}, 100.0, DELTA))


def test_caps_that_are_no_numbers_let_nothing_through():
    with pytest.raises(BudgetError):
        require_room([], charge("r1"), Caps({"analytics": float("nan")}, 100.0, DELTA))


def test_a_refusal_changes_nothing():
    charges = [charge("r1")]
    with pytest.raises(BudgetError):
        require_room(charges, charge("r2"), Caps({"analytics": ONE}, ONE, DELTA))
    assert charges == [charge("r1")]
