import itertools
import os
import sqlite3
import stat
from contextlib import closing

import pytest

from covey_sdk.errors import StoreError
from covey_sdk.store import Store

KEY = bytes(range(32))


@pytest.fixture
def store(path):
    store = Store(path, KEY)
    yield store
    store.close()


def raw(path, statement, *values):
    """Change the file behind the store's back."""
    with sqlite3.connect(path) as db:
        db.execute(statement, values)
    db.close()


def filled(path):
    store = Store(path, KEY)
    store.put("name", b"value")
    for number in range(40):
        store.append_event(store.tag("order", number), store.tag("sum", number), b"event %d" % number * 9)
    store.append_ledger(b"entry")
    store.put_round("round", "prepared", b"secret")
    store.close()


def test_a_commit_waits_for_the_disk_and_what_is_deleted_is_overwritten(path):
    filled(path)
    for _ in range(2):
        store = Store(path, KEY)
        assert store._db.execute("PRAGMA synchronous").fetchone() == (2,)
        assert store._db.execute("PRAGMA secure_delete").fetchone() == (1,)
        store.close()


def test_everything_is_there_after_opening_again(path):
    filled(path)
    store = Store(path, KEY)
    assert store.get("name") == b"value"
    assert store.get("other") is None
    assert [value for _, value in store.events()] == [b"event %d" % number * 9 for number in range(40)]
    assert store.find_event(store.tag("order", 7)) == (store.tag("sum", 7), b"event 7" * 9)
    assert store.find_event(store.tag("order", 99)) is None
    assert store.ledger() == [b"entry"]
    assert store.get_round("round", "prepared") == b"secret"
    assert store.get_round("round", "contributed") is None
    store.close()


def test_values_events_and_rounds_are_replaced_and_deleted(store):
    store.put("name", b"1")
    store.put("name", b"2")
    assert store.get("name") == b"2"
    store.delete("name")
    assert store.get("name") is None
    numbers = [store.append_event(store.tag(name), b"s", name.encode()) for name in "abc"]
    store.replace_event(numbers[1], b"B")
    store.delete_events(numbers[:1])
    assert store.events() == [(numbers[1], b"B"), (numbers[2], b"c")]
    with pytest.raises(StoreError, match="no event 99"):
        store.replace_event(99, b"")
    for round_id, phase in itertools.product(("r", "s"), ("one", "two")):
        store.put_round(round_id, phase, b"x")
    store.delete_round("r")
    assert [store.get_round(*place) for place in (("r", "one"), ("r", "two"), ("s", "two"))] == [
        None,
        None,
        b"x",
    ]


def test_a_transaction_happens_all_or_none(path, store):
    def broken_off():
        with store.transaction():
            store.put("a", b"1")
            with store.transaction():
                store.put("b", b"2")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken_off()
    assert (store.get("a"), store.get("b")) == (None, None)
    with store.transaction():
        store.put("a", b"1")
    store.close()
    assert Store(path, KEY).get("a") == b"1"


def test_another_key_is_told_from_damage(path):
    filled(path)
    with pytest.raises(StoreError, match="made with another key") as wrong_key:
        Store(path, bytes(32))
    raw(path, "UPDATE meta SET key_check = zeroblob(32)")
    with pytest.raises(StoreError, match="is damaged") as damaged:
        Store(path, KEY)
    assert "\n" not in str(wrong_key.value) + str(damaged.value)


def test_a_key_has_32_bytes(path):
    with pytest.raises(StoreError, match="32 bytes; 16 were given"):
        Store(path, bytes(16))


@pytest.mark.parametrize("content", [b"not a database at all" * 99, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_of_something_else_is_damaged(path, content):
    path.write_bytes(content)
    with pytest.raises(StoreError, match="is damaged"):
        Store(path, KEY)


def read_all(path):
    store = Store(path, KEY)
    try:
        secret = store.get_round("round", "contributed") or store.get_round("round", "prepared")
        return store.get("name"), store.events(), store.ledger(), secret
    finally:
        store.close()


def attempt(path):
    try:
        return read_all(path)
    except StoreError as error:
        return error


def test_no_flipped_byte_changes_what_is_read(path):
    filled(path)
    whole, expected = path.read_bytes(), read_all(path)
    damaged = 0
    for place in range(0, len(whole), 61):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        got = attempt(path)
        if isinstance(got, StoreError):
            damaged += 1
            assert "another key" not in str(got)
        else:
            # Bytes that carry nothing may change. A row may be lost to SQLite; none is ever different.
            assert {*got[1]} <= {*expected[1]}
            assert got[0] in (expected[0], None)
            assert {*got[2]} <= {*expected[2]}
            assert got[3] in (expected[3], None)
        for beside in ("-wal", "-shm"):
            path.with_name(path.name + beside).unlink(missing_ok=True)
    assert damaged > 20


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE events SET sealed = (SELECT sealed FROM events WHERE seq = 2) WHERE seq = 1",
        "UPDATE events SET sum_tag = zeroblob(16) WHERE seq = 1",
        "UPDATE events SET id_tag = zeroblob(16) WHERE seq = 1",
        "UPDATE events SET seq = 99 WHERE seq = 1",
        "UPDATE events SET sealed = 7 WHERE seq = 1",
        "UPDATE items SET sealed = (SELECT sealed FROM ledger)",
        "UPDATE ledger SET seq = 2",
        "UPDATE rounds SET phase = 'contributed'",
    ],
)
def test_a_row_that_was_moved_or_altered_does_not_open(path, change):
    filled(path)
    raw(path, change)
    got = attempt(path)
    assert isinstance(got, StoreError)
    assert "damaged" in str(got)


def test_a_store_in_use_elsewhere_says_so(path, store):
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    store._db.execute("PRAGMA busy_timeout = 0")
    with pytest.raises(StoreError, match="cannot be used now"):
        store.put("name", b"")
    other.rollback()
    other.close()
    store.put("name", b"1")


def nobody_else_has(path):
    """SQLite leaves its write-ahead log only where no other connection is open."""
    with closing(sqlite3.connect(path, timeout=0)) as db:
        try:
            return db.execute("PRAGMA journal_mode = DELETE").fetchone() == ("delete",)
        except sqlite3.OperationalError:
            return False


def test_a_paused_store_holds_no_file_and_opens_when_it_is_used(path, store):
    store.put("name", b"1")
    assert not nobody_else_has(path)
    store.pause()
    assert nobody_else_has(path)
    assert store.get("name") == b"1"
    assert store._rows("PRAGMA synchronous") == [(2,)]


def test_what_another_opener_wrote_during_a_pause_shows(path, store):
    before = store.foreign_changes
    assert store.foreign_changes == before
    store.pause()
    filled(path)
    assert store.foreign_changes != before


def test_a_missing_folder_says_so(tmp_path):
    with pytest.raises(StoreError, match="cannot be opened"):
        Store(tmp_path / "none" / "device.db", KEY)


def test_only_the_owner_may_read_the_file(path, store):
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


def test_erasing_leaves_no_file(path, store):
    store.put("name", b"value")
    assert len(list(path.parent.iterdir())) > 1
    store.erase()
    assert list(path.parent.iterdir()) == []


def test_scrubbing_removes_deleted_rows_from_the_disk(path, store):
    number = store.append_event(store.tag("a"), b"s", b"x" * 500)
    (sealed,) = store._db.execute("SELECT sealed FROM events").fetchone()
    store.scrub()
    assert sealed[:64] in path.read_bytes()
    store.delete_events([number])
    store.scrub()
    assert not any(sealed[:64] in file.read_bytes() for file in path.parent.iterdir())


def test_the_same_value_is_never_sealed_alike(store):
    store.put("a", b"value")
    (first,) = store._db.execute("SELECT sealed FROM items").fetchone()
    store.put("a", b"value")
    assert store._db.execute("SELECT sealed FROM items").fetchone() != (first,)
