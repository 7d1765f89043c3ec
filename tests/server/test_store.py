import multiprocessing
import sqlite3
from contextlib import closing

import pytest

from covey_privacy import annex, wire
from covey_privacy.annex import Annex
from covey_privacy.dp import Caps, Charge, SkellamMechanism
from covey_privacy.errors import BudgetError
from covey_privacy.evidence import Evidence
from covey_privacy.signatures import SigningKey
from covey_privacy.tickets import IssuerKeys, Role
from covey_server.ending import Ending
from covey_server.errors import ConfigError, RoundError
from covey_server.store import Store

EVIDENCE = Evidence(
    "q1-1", "q1", ("analytics",), "test", *[bytes(32)] * 3, 20, 0, "none",
    1.0, 4.0, 1.0, 1.0, 1e-6, 10, 14, 20, "burnt", "1", True, *[bytes(32)] * 3,
)  # fmt: skip
OPERATOR = SigningKey(b"o" * 32)
ANNEX = Annex("q1-1", 24, 23, 0, 1, 23, 2.5, b"s" * 32)
SEALED = annex.seal(ANNEX, annex.key(OPERATOR, "q1-1"))
ENDING = Ending({"query": "q1"}, EVIDENCE, SEALED)
CAPS = Caps({"analytics": 1.5}, 1.5, 1e-6)


def keys_of(slots: int, purposes: tuple[str, ...] = ("analytics",), epoch: int = 7) -> IssuerKeys:
    """Issuer keys that are none: the store reads their names alone."""
    contribute, volunteer = (tuple(bytes([role, slot]) * 150 for slot in range(slots)) for role in Role)
    return IssuerKeys(purposes, epoch, contribute, volunteer)


KEYS = keys_of(4)


def charge(number: int) -> Charge:
    return Charge(f"q1-{number}", "analytics", SkellamMechanism(64.0, 180.0, (3.4 * 64) ** 2, 8))


def test_charges_outlive_the_process_and_are_never_taken_back(tmp_path):
    path = tmp_path / "coordinator.db"
    with closing(Store(path)) as store:
        store.charge(charge(1), CAPS, ENDING)
    with closing(Store(path)) as store:
        assert store.charges() == (charge(1),)
        with pytest.raises(BudgetError):
            store.charge(charge(2), CAPS, ENDING)
        assert store.charges() == (charge(1),)


def test_a_charge_without_a_length_is_one_of_an_earlier_store(tmp_path):
    path, known = tmp_path / "coordinator.db", '{"sensitivity2": 64, "sensitivity1": 180, "variance": 1e6}'
    Store(path).close()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("INSERT INTO charges VALUES ('q1-1', 'analytics', ?)", (known,))
    with closing(Store(path)) as store:
        assert store.charges()[0].mechanism == SkellamMechanism(64, 180, 1e6, None)
        store.charge(charge(2), Caps({"analytics": 9.0}, 9.0, 1e-6), ENDING)
        assert store.charges()[1] == charge(2)


def test_a_round_is_charged_once(tmp_path):
    with closing(Store(tmp_path / "coordinator.db")) as store:
        store.charge(charge(1), Caps({"analytics": 9.0}, 9.0, 1e-6), ENDING)
        with pytest.raises((sqlite3.IntegrityError, BudgetError, ValueError)):
            store.charge(charge(1), Caps({"analytics": 9.0}, 9.0, 1e-6), ENDING)


def test_rounds_left_open_are_burnt_once(tmp_path):
    with closing(Store(tmp_path / "coordinator.db")) as store:
        store.open_round("q1-1-a", KEYS.of(Role.CONTRIBUTE, 1))
        store.open_round("q1-2-a", KEYS.of(Role.CONTRIBUTE, 2))
        store.close_round("q1-2-a", "released", ENDING)
        assert store.burn_open_rounds() == ("q1-1-a",)
        assert store.burn_open_rounds() == ()
        assert store.results() == [{"query": "q1"}]
        assert store.count("q1") == 2


def test_a_round_cut_short_after_its_charge_is_told_when_it_is_burnt(tmp_path):
    with closing(Store(tmp_path / "coordinator.db")) as store:
        store.open_round("q1-1", KEYS.of(Role.CONTRIBUTE, 1))
        store.charge(charge(1), CAPS, ENDING)
        assert (store.results(), store.untold()) == ([], {})
        store.burn_open_rounds()
        assert store.untold() == {"q1-1": EVIDENCE}
        store.told("q1-1", 7)
        assert store.untold() == {}
        assert store.results() == [{"query": "q1", "evidence_index": 7}]


def test_exact_figures_are_kept_sealed(tmp_path):
    path = tmp_path / "coordinator.db"
    known = {"round_id": "q1-1", "sigma": 4.0, "honest": 10, "sum": "00"}
    with closing(Store(path)) as store:
        store.open_round("q1-1", KEYS.of(Role.CONTRIBUTE, 1))
        store.close_round("q1-1", "released", Ending(known, EVIDENCE, SEALED))
        assert store.annex("q1-1") == SEALED
        with pytest.raises(ConfigError, match="no annex of round 'q1-2'"):
            store.annex("q1-2")
        assert store.results() == [known]
        (result,) = store.results(OPERATOR)
    assert (result["roster"], result["survivors"], result["spent"]) == (24, 23, 1)
    assert result["sd"] == 4.0 * 2.3**0.5
    assert "salt" not in result
    for file in tmp_path.iterdir():
        assert wire.encode(ANNEX)[:20] not in file.read_bytes()
        assert b"survivors" not in file.read_bytes()


def test_a_damaged_store_is_one_line(tmp_path):
    path = tmp_path / "coordinator.db"
    path.write_bytes(b"not a database" * 500)
    with pytest.raises(ConfigError, match="cannot be used as the coordinator's store"):
        Store(path)


@pytest.mark.slow
def test_two_coordinators_do_not_share_a_store(tmp_path):
    path = tmp_path / "coordinator.db"
    with closing(Store(path)), pytest.raises(ConfigError, match="locked"):
        Store(path)


def test_rounds_of_a_set_and_epoch_have_slots_in_order(tmp_path):
    keys, path = keys_of(2), tmp_path / "coordinator.db"
    with closing(Store(path)) as store:
        for slot in (1, 2):
            assert store.next_slot(keys) == slot
            store.open_round(f"q1-{slot}", keys.of(Role.CONTRIBUTE, slot))
    with closing(Store(path)) as store:
        says = r"all 2 slots of epoch 7 are used for analytics; wait for the next epoch or declare more slots"
        with pytest.raises(RoundError, match=says):
            store.next_slot(keys)
        assert store.next_slot(keys_of(2, epoch=8)) == 1
        assert store.next_slot(keys_of(2, ("analytics", "personalize"))) == 1


def test_a_slot_that_is_taken_opens_no_round(tmp_path):
    issuer = keys_of(2).of(Role.CONTRIBUTE, 1)
    with closing(Store(tmp_path / "coordinator.db")) as store:
        store.open_round("q1-1", issuer)
        with pytest.raises(RoundError, match="another round took slot 1 of epoch 7 for analytics"):
            store.open_round("q20-1", issuer)
        assert store.burn_open_rounds() == ("q1-1",)
        assert store.next_slot(keys_of(2)) == 2


def test_a_round_that_is_not_opened_takes_no_slot(tmp_path):
    keys = keys_of(2)
    with closing(Store(tmp_path / "coordinator.db")) as store:
        store.open_round("q1-1", keys.of(Role.CONTRIBUTE, 1))
        with pytest.raises(sqlite3.IntegrityError):
            store.open_round("q1-1", keys.of(Role.CONTRIBUTE, 2))
        assert store.next_slot(keys) == 2


def take_slots(path, name, told):
    """Open rounds in the next slots, each with the store opened anew, as a coordinator's run does."""
    keys, taken = keys_of(12), []
    for number in range(6):
        with closing(Store(path)) as store:
            slot = store.next_slot(keys)
            store.open_round(f"{name}-{number}", keys.of(Role.CONTRIBUTE, slot))
            taken.append(slot)
    told.put(taken)


def test_two_coordinators_never_use_one_slot_twice(tmp_path):
    path, spawn = tmp_path / "coordinator.db", multiprocessing.get_context("spawn")
    told = spawn.Queue()
    runs = [spawn.Process(target=take_slots, args=(path, name, told)) for name in ("one", "other")]
    for run in runs:
        run.start()
    taken = told.get(timeout=60) + told.get(timeout=60)
    for run in runs:
        run.join(60)
    assert sorted(taken) == list(range(1, 13))
