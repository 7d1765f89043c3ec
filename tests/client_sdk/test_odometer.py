import math
from datetime import timedelta

import cbor2
import pytest

from covey_privacy.dp import Charge, Encoding, SkellamMechanism, calibrate
from covey_privacy.errors import BudgetError, MisuseError
from covey_sdk.clock import milliseconds
from covey_sdk.errors import StoreError
from covey_sdk.odometer import Odometer
from covey_sdk.store import Store

ENCODING = Encoding(8, 1.0, 64.0, 20, bytes(32))
ROUND = SkellamMechanism.for_encoding(ENCODING, calibrate(ENCODING, 0.6, 1e-6))


@pytest.fixture
def store(path):
    store = Store(path, bytes(32))
    yield store
    store.close()


@pytest.fixture
def odometer(store, notice):
    capped = {"analytics": notice("analytics", epsilon=1.0), "train": notice("train", epsilon=1.0)}
    return Odometer(store, capped)


def test_a_charge_is_kept_and_counted(path, store, odometer, notice, clock):
    assert odometer.spent(clock.now) == 0
    odometer.charge("r1", "analytics", ROUND, clock.now)
    store.close()
    again = Odometer(Store(path, bytes(32)), {"analytics": notice("analytics")})
    assert again.spent(clock.now, "analytics") == pytest.approx(0.6, abs=0.01)
    assert again.spent(clock.now, "train") == 0
    assert [charge.round_id for charge in again.charges(clock.now)] == ["r1"]


def test_a_round_is_charged_once(odometer, clock):
    odometer.charge("r1", "analytics", ROUND, clock.now)
    odometer.charge("r1", "analytics", ROUND, clock.now)
    assert len(odometer.charges(clock.now)) == 1
    with pytest.raises(MisuseError, match="charged already, on other terms"):
        odometer.charge("r1", "train", ROUND, clock.now)


def test_the_round_that_would_pass_the_purposes_cap_is_refused(odometer, clock):
    for number in range(2):
        odometer.charge(f"r{number}", "analytics", ROUND, clock.now)
    before = odometer.charges(clock.now)
    with pytest.raises(BudgetError, match=r"'analytics' to epsilon 1.* cap is 1.000"):
        odometer.charge("r2", "analytics", ROUND, clock.now)
    assert odometer.charges(clock.now) == before
    odometer.charge("r3", "train", ROUND, clock.now)


def test_the_cap_of_all_purposes_holds_too(store, notice, clock):
    tight = Odometer(store, {name: notice(name, total=0.7) for name in ("analytics", "train")})
    tight.charge("r1", "analytics", ROUND, clock.now)
    with pytest.raises(BudgetError, match="all purposes together"):
        tight.charge("r2", "train", ROUND, clock.now)


def test_the_tightest_notice_caps_all(store, notice, clock):
    mixed = Odometer(store, {"analytics": notice("analytics"), "train": notice("train", total=0.5)})
    with pytest.raises(BudgetError, match="all purposes together"):
        mixed.charge("r1", "analytics", ROUND, clock.now)


def test_without_a_notice_nothing_may_be_spent(store, odometer, clock):
    with pytest.raises(BudgetError):
        odometer.charge("r1", "feedback", ROUND, clock.now)
    with pytest.raises(BudgetError):
        Odometer(store, {}).charge("r1", "analytics", ROUND, clock.now)


def test_a_dry_run_writes_nothing(odometer, clock):
    odometer.require_room([Charge("r1", "analytics", ROUND)], clock.now)
    assert odometer.charges(clock.now) == ()


def test_a_plan_is_refused_as_a_whole(odometer, clock):
    steps = [Charge(f"r{number}", "analytics", ROUND) for number in range(12)]
    with pytest.raises(BudgetError):
        odometer.require_room(steps, clock.now)
    odometer.require_room(steps[:2], clock.now)


def test_charges_count_for_365_days(odometer, clock):
    for number in range(2):
        odometer.charge(f"r{number}", "analytics", ROUND, clock.now)
    with pytest.raises(BudgetError):
        odometer.charge("r2", "analytics", ROUND, clock.now + timedelta(days=365, seconds=-1))
    odometer.charge("r2", "analytics", ROUND, clock.now + timedelta(days=365))
    assert [charge.round_id for charge in odometer.charges(clock.now + timedelta(days=365))] == ["r2"]


def earlier_book(*charges):
    """A book as it was written before lengths were booked: six fields a charge."""
    return cbor2.dumps([list(charges)], canonical=True)


def test_a_book_of_the_earlier_layout_opens_and_counts_by_renyi_divergence_alone(store, odometer, clock):
    known = [ROUND.sensitivity2, ROUND.sensitivity1, ROUND.variance]
    store.put("odometer", earlier_book([milliseconds(clock.now), "r0", "analytics", *known]))
    earlier = odometer.account(clock.now)
    assert earlier.gaussian == math.inf
    assert earlier.epsilon == earlier.rdp > 0.6
    odometer.charge("r1", "analytics", ROUND, clock.now)
    assert [charge.mechanism.length for charge in odometer.charges(clock.now)] == [None, 8]
    assert odometer.account(clock.now).gaussian == math.inf
    later = clock.now + timedelta(days=365)
    odometer.charge("r2", "train", ROUND, later)
    assert odometer.account(later).gaussian < odometer.account(later).rdp


@pytest.mark.parametrize("book", [earlier_book([1, "r0"]), b"\xff", cbor2.dumps([[]]) + b"\0"])
def test_a_book_of_no_layout_stops_every_round(store, odometer, clock, book):
    store.put("odometer", book)
    with pytest.raises(StoreError, match="cannot be read"):
        odometer.charge("r1", "analytics", ROUND, clock.now)


def test_a_charge_dated_in_the_future_counts(odometer, clock):
    odometer.charge("r1", "analytics", ROUND, clock.now)
    assert len(odometer.charges(clock.now - timedelta(days=30))) == 1


def test_a_clock_that_ran_ahead_refunds_nothing(odometer, clock):
    odometer.charge("r0", "analytics", ROUND, clock.now)
    odometer.charge("r1", "analytics", ROUND, clock.now + timedelta(days=366))
    assert [charge.round_id for charge in odometer.charges(clock.now)] == ["r0", "r1"]
    with pytest.raises(BudgetError):
        odometer.charge("r2", "analytics", ROUND, clock.now)


def test_a_round_is_charged_once_in_all_years(odometer, clock):
    odometer.charge("r1", "analytics", ROUND, clock.now)
    odometer.charge("r1", "analytics", ROUND, clock.now + timedelta(days=366))
    assert len(odometer.charges(clock.now)) == 1


@pytest.fixture
def other(path, store, odometer, notice):
    """The odometer as another process of the phone has it open."""
    store = Store(path, bytes(32))
    yield Odometer(store, {"analytics": notice("analytics", epsilon=0.7)})
    store.close()


def test_of_two_processes_one_finds_room(odometer, other, clock, monkeypatch):
    """The other one charges just before this one has the store to itself."""
    begin = other._store.transaction

    def late():
        odometer.charge("r1", "analytics", ROUND, clock.now)
        return begin()

    other.require_room([Charge("r2", "analytics", ROUND)], clock.now)
    monkeypatch.setattr(other._store, "transaction", late)
    with pytest.raises(BudgetError):
        other.charge("r2", "analytics", ROUND, clock.now)
    assert [charge.round_id for charge in odometer.charges(clock.now)] == ["r1"]


def test_while_another_process_charges_nothing_is_charged(odometer, store, other, clock):
    other._store._rows("PRAGMA busy_timeout = 20")
    with store.transaction():
        odometer.charge("r1", "analytics", ROUND, clock.now)
        with pytest.raises(StoreError, match="cannot be used now"):
            other.charge("r2", "analytics", ROUND, clock.now)
    assert [charge.round_id for charge in other.charges(clock.now)] == ["r1"]
