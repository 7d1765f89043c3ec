import multiprocessing
import sqlite3
from contextlib import closing

import pytest

from covey_privacy import sealed_figures, wire
from covey_privacy.dp import Caps, Charge, SkellamMechanism
from covey_privacy.errors import BudgetError
from covey_privacy.evidence import Evidence, RoundProofs
from covey_privacy.manifest import Plan, Step
from covey_privacy.round_files import RoundFiles
from covey_privacy.sealed_figures import Annex
from covey_privacy.signatures import SigningKey
from covey_privacy.tickets import IssuerKeys, Role
from covey_server.errors import ConfigError, RoundError
from covey_server.round_result import exact_results
from covey_server.round_state import RoundResult
from covey_server.round_steps import CHARGED
from covey_server.store import Store, StoredRound, Training

EVIDENCE = Evidence(
    "q1-1", "q1", ("analytics",), "test", *[bytes(32)] * 4, 20, 0, "none", (), (), False,
    1.0, 4.0, 1.0, 1.0, 1e-6, 10, 20, "burnt", "1", True, *[bytes(32)] * 3,
)  # fmt: skip
OPERATOR = SigningKey(b"o" * 32)
ANNEX = Annex("q1-1", 30, 24, 23, 0, 1, 0, 2.5, b"s" * 32)
NO_PROOFS, PROOFS = RoundProofs(b"", ()), RoundProofs(b"request", (b"opening",))
SEALED = sealed_figures.seal(ANNEX, sealed_figures.key(OPERATOR, "q1-1"))
ENDING = RoundResult({"query": "q1"}, EVIDENCE, SEALED, NO_PROOFS)
CAPS = Caps({"analytics": 1.5}, 1.5, 1e-6)


def keys_of(slots: int, purposes: tuple[str, ...] = ("analytics",), epoch: int = 7) -> IssuerKeys:
    """Issuer keys that are none: the store reads their names alone."""
    contribute, volunteer = (tuple(bytes([role, slot]) * 150 for slot in range(slots)) for role in Role)
    return IssuerKeys(purposes, epoch, contribute, volunteer)


KEYS = keys_of(4)


def open_round(store, round_id, issuer=None, query="q1", training=None):
    """Open a round of made-up files, in a slot of `KEYS` where none is named."""
    files = RoundFiles(b"manifest", KEYS)
    running = StoredRound(round_id, files, b"n" * 32)
    store.open_round(running, query, issuer or KEYS.key_for(Role.CONTRIBUTE, store.next_slot(KEYS)), training)
    return running


def charge(number: int) -> Charge:
    return Charge(f"q1-{number}", "analytics", SkellamMechanism(64.0, 180.0, (3.4 * 64) ** 2, 8))


def test_charges_outlive_the_process_and_are_never_taken_back(tmp_path):
    path = tmp_path / "coordinator.db"
    with closing(Store(path)) as store:
        store.charge(charge(1), CAPS, lambda: ENDING)
    with closing(Store(path)) as store:
        assert store.charges() == (charge(1),)
        with pytest.raises(BudgetError):
            store.charge(charge(2), CAPS, lambda: ENDING)
        assert store.charges() == (charge(1),)


def test_a_charge_without_a_length_is_one_of_an_earlier_store(tmp_path):
    path, known = tmp_path / "coordinator.db", '{"sensitivity2": 64, "sensitivity1": 180, "variance": 1e6}'
    Store(path).close()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("INSERT INTO charges VALUES ('q1-1', 'analytics', ?)", (known,))
    with closing(Store(path)) as store:
        assert store.charges()[0].mechanism == SkellamMechanism(64, 180, 1e6, None)
        store.charge(charge(2), Caps({"analytics": 9.0}, 9.0, 1e-6), lambda: ENDING)
        assert store.charges()[1] == charge(2)


def test_a_round_is_charged_once(tmp_path):
    with closing(Store(tmp_path / "coordinator.db")) as store:
        store.charge(charge(1), Caps({"analytics": 9.0}, 9.0, 1e-6), lambda: ENDING)
        with pytest.raises((sqlite3.IntegrityError, BudgetError, ValueError)):
            store.charge(charge(1), Caps({"analytics": 9.0}, 9.0, 1e-6), lambda: ENDING)


def test_a_round_that_runs_is_kept_with_its_steps_until_it_ends(tmp_path):
    path = tmp_path / "coordinator.db"
    with closing(Store(path)) as store:
        one, other = open_round(store, "q1-1-a"), open_round(store, "q20-1-a", query="q20")
        store.steps("q1-1-a").put("committee", b"file")
        with pytest.raises(sqlite3.IntegrityError):
            store.steps("q1-1-a").put("committee", b"another file")
    with closing(Store(path)) as store:
        assert (store.running("q1"), store.running()) == ((one,), (one, other))
        assert store.steps("q1-1-a").get("committee") == b"file"
        assert store.steps("q20-1-a").get("committee") is None
        store.close_round("q1-1-a", "released", ENDING)
        assert store.running() == (other,)
        assert store.steps("q1-1-a").get("committee") is None
        store.drop_round("q20-1-a")
        assert store.running() == ()
        assert store.results() == [{"query": "q1"}]
        assert set(store.unlogged_evidence()) == {"q1-1-a"}
        assert (store.count("q1"), store.count("q20")) == (1, 1)


def test_a_round_cut_short_after_its_charge_is_told_when_it_is_burnt(tmp_path):
    with closing(Store(tmp_path / "coordinator.db")) as store:
        open_round(store, "q1-1")
        assert store.steps("q1-1").get(CHARGED) is None
        store.charge(charge(1), CAPS, lambda: ENDING)
        assert store.steps("q1-1").get(CHARGED) == b""
        assert (store.results(), store.unlogged_evidence()) == ([], {})
        store.burn("q1-1")
        assert store.running() == ()
        assert store.unlogged_evidence() == {"q1-1": EVIDENCE}
        store.note_logged("q1-1", 7)
        assert store.unlogged_evidence() == {}
        assert store.results() == [{"query": "q1", "evidence_index": 7}]


def test_a_charge_that_is_refused_marks_no_round(tmp_path):
    with closing(Store(tmp_path / "coordinator.db")) as store:
        open_round(store, "q1-1")
        with pytest.raises(BudgetError):
            store.charge(charge(1), Caps({"analytics": 0.01}, 0.01, 1e-6), lambda: ENDING)
        assert store.steps("q1-1").get(CHARGED) is None
        assert store.unlogged_evidence() == {}


STEP = Step("p1", 8, 1.0, 64.0, 4.0, 24)


@pytest.mark.parametrize(
    ("states", "ends"),
    [
        (["released"], (1, b"1" * 32)),
        (["released", "released"], None),
        (["withheld"], None),
        (["aborted"], None),
    ],
)
def test_a_training_goes_on_with_what_is_released(tmp_path, states, ends):
    training = Training(Plan(4.0, (STEP, STEP)))
    with closing(Store(tmp_path / "coordinator.db")) as store:
        for number, state in enumerate(states):
            open_round(store, f"p1-{number}", query="p1", training=store.training() or training)
            assert store.training().step == number
            store.close_round(f"p1-{number}", state, ENDING, None, bytes([0x31 + number]) * 32)
        found = store.training()
        assert (found and (found.step, found.previous)) == ends


def test_a_training_whose_step_is_burnt_is_over(tmp_path):
    with closing(Store(tmp_path / "coordinator.db")) as store:
        open_round(store, "p1-1", query="p1", training=Training(Plan(4.0, (STEP, STEP))))
        store.burn("p1-1")
        assert store.training() is None


def test_a_store_of_an_earlier_version_is_used(tmp_path):
    path = tmp_path / "coordinator.db"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(
            "CREATE TABLE trainings (id INTEGER PRIMARY KEY, plan BLOB NOT NULL, step INTEGER NOT NULL,"
            " previous BLOB NOT NULL, state TEXT NOT NULL)"
        )
    with closing(Store(path)) as store:
        open_round(store, "p1-1", query="p1", training=Training(Plan(4.0, (STEP,))))
        assert store.training().step == 0


def test_exact_figures_are_kept_sealed(tmp_path):
    path = tmp_path / "coordinator.db"
    known = {"round_id": "q1-1", "sigma": 4.0, "honest": 10, "sum": "00"}
    with closing(Store(path)) as store:
        open_round(store, "q1-1")
        store.close_round("q1-1", "released", RoundResult(known, EVIDENCE, SEALED, PROOFS))
        assert store.annex("q1-1") == SEALED
        with pytest.raises(ConfigError, match="no annex of round 'q1-2'"):
            store.annex("q1-2")
        assert store.results() == [known]
        (result,) = exact_results(store, OPERATOR)
        assert wire.decode(RoundProofs, store.proofs("q1-1")) == PROOFS
        with pytest.raises(ConfigError, match="no proofs of round 'q1-2'"):
            store.proofs("q1-2")
    assert (result["included"], result["final"], result["spent"]) == (24, 23, 1)
    assert result["sd"] == 4.0 * 2.3**0.5
    assert "salt" not in result
    for file in tmp_path.iterdir():
        assert wire.encode(ANNEX)[:20] not in file.read_bytes()
        assert b"volunteers" not in file.read_bytes()


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
            open_round(store, f"q1-{slot}", keys.key_for(Role.CONTRIBUTE, slot))
    with closing(Store(path)) as store:
        says = r"all 2 slots of epoch 7 are used for analytics; wait for the next epoch or declare more slots"
        with pytest.raises(RoundError, match=says):
            store.next_slot(keys)
        assert store.next_slot(keys_of(2, epoch=8)) == 1
        assert store.next_slot(keys_of(2, ("analytics", "personalize"))) == 1


def test_a_slot_that_is_taken_opens_no_round(tmp_path):
    issuer = keys_of(2).key_for(Role.CONTRIBUTE, 1)
    with closing(Store(tmp_path / "coordinator.db")) as store:
        open_round(store, "q1-1", issuer)
        with pytest.raises(RoundError, match="another round took slot 1 of epoch 7 for analytics"):
            open_round(store, "q20-1", issuer)
        assert [running.round_id for running in store.running()] == ["q1-1"]
        assert store.next_slot(keys_of(2)) == 2


def test_a_round_that_is_not_opened_takes_no_slot(tmp_path):
    keys = keys_of(2)
    with closing(Store(tmp_path / "coordinator.db")) as store:
        open_round(store, "q1-1", keys.key_for(Role.CONTRIBUTE, 1))
        with pytest.raises(sqlite3.IntegrityError):
            open_round(store, "q1-1", keys.key_for(Role.CONTRIBUTE, 2))
        assert store.next_slot(keys) == 2


def take_slots(path, name, told):
    """Open rounds in the next slots, each with the store opened anew, as a coordinator's run does."""
    keys, taken = keys_of(12), []
    for number in range(6):
        with closing(Store(path)) as store:
            slot = store.next_slot(keys)
            open_round(store, f"{name}-{number}", keys.key_for(Role.CONTRIBUTE, slot))
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
