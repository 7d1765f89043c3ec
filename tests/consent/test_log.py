import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from covey_consent.errors import DamageError
from covey_consent.storage.database import connect
from covey_consent.storage.store import Store
from covey_consent.transparency.log import Log
from covey_privacy import checkpoint, wire
from covey_privacy.merkle import leaf_hash, verify_consistency, verify_inclusion
from covey_privacy.registry_messages import LEAF_NOTICE, ConsistencyProof, Entries, Inclusion
from covey_privacy.signatures import SigningKey


def grow(shop):
    """Log something new."""
    shop.clock.now += 86400
    shop.issuer("analytics")


def change(url, statement, **values):
    database = connect(url)
    with database.writer.begin() as connection:
        assert connection.execute(text(statement), values).rowcount == 1
    database.close()


def test_the_checkpoint_is_the_head_of_the_entries(shop):
    for _ in range(3):
        assert shop.checkpoint().root == shop.root_of_entries()
        grow(shop)


def test_checkpoints_are_consistent_as_the_log_grows(shop):
    seen = [shop.checkpoint()]
    for _ in range(4):
        grow(shop)
        seen.append(shop.checkpoint())
    for i, old in enumerate(seen):
        for new in seen[i:]:
            answer = shop.http.get("/v1/log/consistency", params={"old": old.size, "size": new.size})
            proof = wire.decode(ConsistencyProof, answer.content)
            verify_consistency(old.size, old.root, new.size, new.root, proof.proof)


def test_every_entry_is_included_at_every_later_size(shop):
    grow(shop)
    head = shop.checkpoint()
    for index, entry in enumerate(shop.entries()):
        leaf = leaf_hash(entry)
        answer = shop.http.get(f"/v1/log/inclusion/{leaf.hex()}", params={"size": head.size})
        inclusion = wire.decode(Inclusion, answer.content)
        assert (inclusion.index, inclusion.size) == (index, head.size)
        verify_inclusion(leaf, index, head.size, inclusion.proof, head.root)


def test_what_is_not_in_the_first_leaves_is_not_found(shop, problem):
    size = shop.checkpoint().size
    grow(shop)
    newest = leaf_hash(shop.entries()[-1]).hex()
    problem(shop.http.get(f"/v1/log/inclusion/{newest}", params={"size": size}), 404)
    problem(shop.http.get(f"/v1/log/inclusion/{newest}", params={"size": size + 2}), 404)
    problem(shop.http.get(f"/v1/log/inclusion/{bytes(32).hex()}"), 404)
    problem(shop.http.get("/v1/log/inclusion/no-hash"), 422)


@pytest.mark.parametrize("query", ["old=5&size=2", "old=0&size=99", "old=-1", "old=x", "size=1"])
def test_impossible_sizes_are_refused(shop, problem, query):
    problem(shop.http.get(f"/v1/log/consistency?{query}"), 422)


def test_entries_come_in_runs(shop, problem):
    entries = shop.entries()
    answer = shop.http.get("/v1/log/entries", params={"start": 1, "end": 3})
    assert wire.decode(Entries, answer.content).entries == entries[1:3]
    problem(shop.http.get("/v1/log/entries", params={"start": 0, "end": len(entries) + 1}), 422)
    problem(shop.http.get("/v1/log/entries", params={"start": 3, "end": 1}), 422)


def test_proofs_are_for_the_published_checkpoint_at_every_moment(database_url):
    key = SigningKey(bytes(32))

    def append(log):
        return log.write(log.append, LEAF_NOTICE, b"body")

    async def run():
        store = Store.open(database_url)
        log = Log(store, "covey.test/log", key)
        await append(log)
        first = checkpoint.open_note(log.note, key.public)
        growing = asyncio.create_task(append(log))
        while not growing.done():
            note, proof = log.since(first.size)
            head = checkpoint.open_note(note, key.public)
            verify_consistency(first.size, first.root, head.size, head.root, proof)
            await asyncio.sleep(0)
        await store.close()
        return len(log)

    assert asyncio.run(run()) == 2


def test_an_entry_is_found_where_it_stands_first_below_the_checkpoint(database_url):
    bodies = [b"a", b"b", b"a", b"c"]

    async def run():
        store = Store.open(database_url)
        log = Log(store, "covey.test/log", SigningKey(b"k" * 32))
        log.open()
        await log.write(log.append_all, LEAF_NOTICE, bodies)
        found = [await log.find(leaf_hash(LEAF_NOTICE + body)) for body in b"a b c d".split()]
        await store.write(log.append, LEAF_NOTICE, b"d")
        unpublished = await log.find(leaf_hash(LEAF_NOTICE + b"d"))
        await store.close()
        return found, unpublished

    assert asyncio.run(run()) == ([0, 1, 3, None], None)


def test_what_failed_to_be_published_is_published_before_the_next_answer(database_url):
    def execute(session, statement):
        session.execute(text(statement))

    async def run():
        store = Store.open(database_url)
        log = Log(store, "covey.test/log", SigningKey(bytes(32)))
        await store.write(execute, "alter table checkpoints rename to hidden")
        with pytest.raises(DBAPIError, match="checkpoints"):
            await log.write(log.append, LEAF_NOTICE, b"body")
        sizes = [len(log)]
        await store.write(execute, "alter table hidden rename to checkpoints")
        await log.write(lambda session: None)
        sizes.append(len(log))
        await store.close()
        return sizes

    assert asyncio.run(run()) == [0, 1]


def test_a_restart_continues_the_log(opened):
    with opened() as shop:
        before = shop.checkpoint()
    with opened() as shop:
        grow(shop)
        after = shop.checkpoint()
        answer = shop.http.get("/v1/log/consistency", params={"old": before.size})
        proof = wire.decode(ConsistencyProof, answer.content).proof
    verify_consistency(before.size, before.root, after.size, after.root, proof)


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        (
            'update log set entry = (select later.entry from log as later where later."index" = 2) '
            'where "index" = 1',
            "changed the table",
        ),
        ('delete from log where "index" = 5', "changed the table"),
        ('delete from log where "index" = 1', "missing"),
        ("update checkpoints set note = replace(note, 'test', 'evil') where size = 6", "key file"),
    ],
)
def test_a_tampered_log_is_found_at_the_next_start(opened, database_url, statement, says):
    with opened():
        pass
    change(database_url, statement)
    with pytest.raises(DamageError, match=says), opened():
        pass


def test_another_key_does_not_continue_the_log(opened, tmp_path):
    with opened():
        pass
    (tmp_path / "registry.key").unlink()
    with pytest.raises(DamageError, match="key file"), opened():
        pass


def test_what_was_committed_before_a_crash_is_published_at_the_next_start(opened, database_url):
    with opened() as shop:
        grow(shop)
        after = shop.checkpoint()
    change(database_url, "delete from checkpoints where size = :size", size=after.size)
    with opened() as shop:
        assert shop.checkpoint() == after
