import sqlite3
from contextlib import closing

import pytest

from covey_privacy.dp import Caps, Charge, SkellamMechanism
from covey_privacy.errors import BudgetError
from covey_server.errors import ConfigError
from covey_server.store import Store

CAPS = Caps({"analytics": 1.5}, 1.5, 1e-6)


def charge(number: int) -> Charge:
    return Charge(f"q1-{number}", "analytics", SkellamMechanism(64.0, 180.0, (3.4 * 64) ** 2, 8))


def test_charges_outlive_the_process_and_are_never_taken_back(tmp_path):
    path = tmp_path / "coordinator.db"
    with closing(Store(path)) as store:
        store.charge(charge(1), CAPS)
    with closing(Store(path)) as store:
        assert store.charges() == (charge(1),)
        with pytest.raises(BudgetError):
            store.charge(charge(2), CAPS)
        assert store.charges() == (charge(1),)


def test_a_charge_without_a_length_is_one_of_an_earlier_store(tmp_path):
    path, known = tmp_path / "coordinator.db", '{"sensitivity2": 64, "sensitivity1": 180, "variance": 1e6}'
    Store(path).close()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("INSERT INTO charges VALUES ('q1-1', 'analytics', ?)", (known,))
    with closing(Store(path)) as store:
        assert store.charges()[0].mechanism == SkellamMechanism(64, 180, 1e6, None)
        store.charge(charge(2), Caps({"analytics": 9.0}, 9.0, 1e-6))
        assert store.charges()[1] == charge(2)


def test_a_round_is_charged_once(tmp_path):
    with closing(Store(tmp_path / "coordinator.db")) as store:
        store.charge(charge(1), Caps({"analytics": 9.0}, 9.0, 1e-6))
        with pytest.raises((sqlite3.IntegrityError, BudgetError, ValueError)):
            store.charge(charge(1), Caps({"analytics": 9.0}, 9.0, 1e-6))


def test_rounds_left_open_are_burnt_once(tmp_path):
    with closing(Store(tmp_path / "coordinator.db")) as store:
        store.open_round("q1-1-a")
        store.open_round("q1-2-a")
        store.close_round("q1-2-a", "released", {"query": "q1"})
        assert store.burn_open_rounds() == ("q1-1-a",)
        assert store.burn_open_rounds() == ()
        assert store.results() == [{"query": "q1"}]
        assert store.count("q1") == 2


def test_a_damaged_store_is_one_line(tmp_path):
    path = tmp_path / "coordinator.db"
    path.write_bytes(b"not a database" * 500)
    with pytest.raises(ConfigError, match="cannot be used as the coordinator's store"):
        Store(path)


def test_two_coordinators_do_not_share_a_store(tmp_path):
    path = tmp_path / "coordinator.db"
    with closing(Store(path)), pytest.raises(ConfigError, match="locked"):
        Store(path)
