"""A consent event is promised at once, and logged in company: its salted commitment and nothing else."""

import asyncio
import hashlib
import itertools
import random
import tempfile
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from covey_consent.decisions.consent_event import Record, commit
from covey_consent.errors import RequestError
from covey_consent.operations.supervision import Loop, Supervisor
from covey_consent.policy.epoch_calendar import Calendar
from covey_consent.storage.models import LogEntry
from covey_consent.storage.store import Store
from covey_consent.transparency import promises
from covey_consent.transparency.log import Log
from covey_consent.transparency.promises import (
    LEAST,
    MOST,
    PendingCommitment,
    Publisher,
    promise,
    promise_all,
)
from covey_privacy.checkpoint import Checkpoint, sign_checkpoint
from covey_privacy.errors import PeerError, ServerError
from covey_privacy.inclusion_promise import CONTEXT, Promise, PromiseVerdict, judge, require_kept
from covey_privacy.merkle import Tree, leaf_hash
from covey_privacy.note import COSIGNATURE, VerifierKey
from covey_privacy.registry_messages import LEAF_CONSENT, LEAF_NOTICE, Inclusion
from covey_privacy.signatures import SigningKey, open_signed
from covey_privacy.tiles import ENTRY_LIMIT
from covey_privacy.witness import cosign

KEY, OTHER = SigningKey(b"\1" * 32), SigningKey(b"\2" * 32)
ORIGIN = "covey.test/log"
WITNESS = VerifierKey("witness.test/1", COSIGNATURE, OTHER.public)


def commitments(count, of=b""):
    return [hashlib.sha256(of + b"%d" % index).digest() for index in range(count)]


class Stage:
    """A log on a database of its own, with a publisher and a clock that stands still."""

    def __init__(self, store, clock, seed=1):
        self.store, self.clock = store, clock
        self.log = Log(store, ORIGIN, KEY)
        self.log.open()
        self.calendar = Calendar(clock, 86400, 300)
        self.publisher = Publisher(self.log, self.calendar, random.Random(seed))

    async def promise(self, some):
        await self.store.write(promise_all, some, self.calendar)

    async def entries(self):
        return (await self.log.entries(0, len(self.log))).entries


@pytest.fixture
def play(tmp_path, clock):
    def play(scene, name="log", seed=1):
        async def run():
            store = Store.open(f"sqlite:///{tmp_path}/{name}.db", durable=False)
            try:
                return await scene(Stage(store, clock, seed))
            finally:
                await store.close()

        return asyncio.run(run())

    return play


def wait(until, seconds=20.0):
    end = time.monotonic() + seconds
    while not (found := until()):
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)
    return found


def test_fewer_than_fifty_wait_until_the_oldest_has_waited_an_hour(play, clock):
    async def scene(stage):
        await stage.promise(commitments(LEAST - 2))
        clock.now += 3599
        await stage.promise(commitments(1, b"younger"))
        counts = [await stage.publisher.publish()]
        clock.now += 1
        counts += [await stage.publisher.publish(), await stage.publisher.publish()]
        return counts

    assert play(scene) == [0, LEAST - 1, 0]


def test_fifty_are_logged_at_once_in_one_write_under_one_checkpoint(play):
    async def scene(stage):
        await stage.promise(commitments(LEAST - 1))
        assert await stage.publisher.publish() == 0
        await stage.promise(commitments(1, b"fiftieth"))
        assert await stage.publisher.publish() == LEAST
        count = "select count(*) from checkpoints"
        assert await stage.store.read(lambda session: session.scalar(text(count))) == 1
        return len(stage.log)

    assert play(scene) == LEAST


def test_the_order_of_arrival_does_not_show(play):
    arrived = [LEAF_CONSENT + each for each in commitments(200)]

    async def scene(stage):
        await stage.promise([entry[1:] for entry in arrived])
        await stage.publisher.publish()
        return await stage.entries()

    one, other = (play(scene, f"seed{seed}", seed) for seed in (1, 2))
    assert sorted(one) == sorted(other) == sorted(arrived)
    assert one != other
    for logged in (one, other):
        # Of a random order, hardly any entry keeps its place, or its neighbour.
        assert sum(a == b for a, b in zip(logged, arrived, strict=True)) < 10
        places = {entry: place for place, entry in enumerate(logged)}
        assert sum(places[b] == places[a] + 1 for a, b in itertools.pairwise(arrived)) < 10


def test_a_crowd_is_logged_oldest_first_in_writes_of_a_bounded_size(play, clock):
    async def scene(stage):
        await stage.promise(commitments(MOST, b"older"))
        clock.now += 1
        await stage.promise(commitments(LEAST, b"newer"))
        counts = [await stage.publisher.publish() for _ in range(3)]
        entries = (await stage.log.entries(0, 1024)).entries
        assert set(entries) <= {LEAF_CONSENT + each for each in commitments(MOST, b"older")}
        return counts

    assert play(scene) == [MOST, LEAST, 0]


@pytest.mark.compliance("PIPL 56", "what was promised before a crash stands in the log after the next start")
def test_what_was_promised_before_a_crash_is_logged_after_the_next_start(opened, clock, tmp_path):
    promised = commitments(3)
    with opened() as shop:
        registry = shop.http.app.state.registry
        shop.http.portal.call(registry.store.write, promise_all, promised, registry.calendar)
        assert status(shop, promised[0])["state"] == "promised"
        size = shop.checkpoint().size
    clock.now += 3601
    with opened() as shop:
        wait(lambda: shop.checkpoint().size == size + 3)
        entries = shop.entries()
        for each in promised:
            found = status(shop, each)
            assert found["state"] == "published"
            assert entries[found["index"]] == LEAF_CONSENT + each
    with opened() as shop:  # Logged once: a start does not find them again.
        assert shop.checkpoint().size == size + 3


def test_a_crash_between_the_two_halves_of_publishing_leaves_neither(play):
    async def scene(stage):
        await stage.promise(commitments(LEAST))

        def dies(session):
            promises.publish(session, stage.log, stage.calendar, random.Random(1))
            raise RequestError("the power fails")

        with pytest.raises(RequestError):
            await stage.log.write(dies)
        assert len(stage.log) == 0
        assert (
            await stage.store.read(lambda session: len(session.scalars(select(PendingCommitment)).all()))
            == LEAST
        )
        return await stage.publisher.publish()

    assert play(scene) == LEAST


def test_a_database_that_fails_once_does_not_end_the_publishing(play, monkeypatch, caplog):
    monkeypatch.setattr(promises, "EVERY_SECONDS", 0.01)
    trigger = "create trigger full before insert on log begin select raise(abort, 'full'); end"

    async def scene(stage):
        await stage.store.write(lambda session: session.execute(text(trigger)) and None)
        await stage.promise(commitments(LEAST))
        supervisor = Supervisor([Loop("publishing", stage.publisher.run)], first=0.01)
        running = asyncio.create_task(supervisor.run())
        async with asyncio.timeout(20):
            while "full" not in caplog.text:
                await asyncio.sleep(0.01)
            await stage.store.write(lambda session: session.execute(text("drop trigger full")) and None)
            while len(stage.log) < LEAST:
                await asyncio.sleep(0.01)
        running.cancel()

    play(scene)


@pytest.mark.compliance("GDPR 5(2)", "the log commits to every event and tells nothing of it")
def test_a_leaf_says_nothing_but_the_commitment(play):
    record = Record(
        ORIGIN, "event-1", "5ub1ec7" * 4, "analytics", "withdrawn", "subject", "toggle", "1.0.0", "en",
        "7e47" * 16, 1_800_000_000_000, 0,
    )  # fmt: skip
    same = [commit(bytes([salt]) * 32, record) for salt in range(LEAST)]

    async def scene(stage):
        await stage.promise(same)
        await stage.publisher.publish()
        rows = await stage.store.read(lambda session: session.scalars(select(LogEntry.entry)).all())
        assert await stage.store.read(lambda session: session.scalars(select(PendingCommitment)).all()) == []
        return rows

    rows = play(scene)
    # The same event under other salts cannot be told to be the same, and all leaves look alike.
    assert len(set(rows)) == LEAST
    assert {(len(row), row[:1]) for row in rows} == {(33, LEAF_CONSENT)}
    assert {row[1:] for row in rows} == set(same)


@pytest.mark.slow
@settings(deadline=None, max_examples=25)
@given(st.lists(st.lists(st.binary(max_size=40), max_size=70), max_size=5))
def test_appending_all_is_appending_each(batches):
    async def run(append):
        with tempfile.TemporaryDirectory() as folder:
            store = Store.open(f"sqlite:///{folder}/log.db", durable=False)
            log = Log(store, ORIGIN, KEY)
            for batch in batches:
                await log.write(append, log, batch)
            leaves = [leaf_hash(LEAF_NOTICE + body) for batch in batches for body in batch]
            places = [await log.find(leaf) for leaf in leaves]
            await store.close()
        return log.head, places

    def each(session, log, batch):
        return [log.append(session, LEAF_NOTICE, body) for body in batch]

    def at_once(session, log, batch):
        return log.append_all(session, LEAF_NOTICE, batch)

    assert asyncio.run(run(each)) == asyncio.run(run(at_once))


def test_indices_go_on_and_nothing_too_long_is_appended(play):
    async def scene(stage):
        first = await stage.log.write(stage.log.append_all, LEAF_NOTICE, [b"a", b"b"])
        with pytest.raises(RequestError, match="at most 65535"):
            await stage.log.write(stage.log.append_all, LEAF_NOTICE, [b"c", bytes(ENTRY_LIMIT)])
        none = await stage.log.write(stage.log.append_all, LEAF_NOTICE, [])
        second = await stage.log.write(stage.log.append_all, LEAF_NOTICE, [b"d", b"e", b"f"])
        return first, none, second, len(stage.log)

    assert play(scene) == (range(2), range(2, 2), range(2, 5), 5)


def status(shop, commitment):
    answer = shop.http.get(f"/v1/log/promises/{commitment.hex()}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_whoever_holds_a_commitment_can_ask_where_it_stands(shop, problem):
    registry = shop.http.app.state.registry
    some = commitments(LEAST)
    shop.http.portal.call(registry.store.write, promise_all, some[:1], registry.calendar)
    due = shop.clock.ms + 1000 * (3600 + 60 + 300)
    assert status(shop, some[0]) == {"state": "promised", "index": None, "publish_by": due}
    problem(shop.http.get(f"/v1/log/promises/{some[1].hex()}"), 404)
    problem(shop.http.get("/v1/log/promises/none"), 422)
    shop.http.portal.call(registry.store.write, promise_all, some[1:], registry.calendar)
    wait(lambda: {status(shop, each)["state"] for each in some} == {"published"})
    assert sorted(status(shop, each)["index"] for each in some) == list(range(6, 6 + LEAST))


def test_nobody_is_told_that_a_promise_is_unknown_while_it_is_being_published(play):
    asked = commitments(LEAST)

    async def scene(stage):
        await stage.promise(asked)
        publishing = asyncio.create_task(stage.publisher.publish())
        while not publishing.done():
            await promises.find(asked[0], stage.log, stage.store, stage.calendar)
            await asyncio.sleep(0)
        return (await promises.find(asked[0], stage.log, stage.store, stage.calendar)).state

    for turn in range(20):
        assert play(scene, f"turn{turn}") == "published"


# A promise outside the registry: what anyone can make of it, offline.

AT = 1_800_000_000_000
MEANT = Promise(ORIGIN, bytes(32), AT, AT + 1000)
LATE, IN_TIME = AT // 1000 + 2, AT // 1000 + 1


def leaves(*held):
    return [leaf_hash(b"N%d" % index) for index in range(5)] + [each.leaf for each in held]


def note(of, *times, key=KEY, origin=ORIGIN):
    signed = sign_checkpoint(Checkpoint(origin, len(of), Tree(of).root()), key)
    return signed + "".join(cosign(signed, WITNESS.name, OTHER, at) for at in times)


def inclusion(of, index):
    return Inclusion(index, len(of), Tree(of).inclusion(index))


def test_a_promise_is_signed_for_this_event_alone(clock):
    calendar = Calendar(clock, 86400, 300)
    signed = promise(KEY, ORIGIN, bytes(32), calendar)
    said = open_signed(Promise, CONTEXT, signed, KEY.public)
    assert (said.log, said.commitment, said.at) == (ORIGIN, bytes(32), clock.ms)
    assert said.publish_by == clock.ms + 3_960_000
    with pytest.raises(PeerError):
        open_signed(Promise, CONTEXT, signed, OTHER.public)
    with pytest.raises(PeerError):
        open_signed(Promise, "notice", signed, KEY.public)
    clock.now += 60
    assert promise(KEY, ORIGIN, bytes(32), calendar, said.at) == signed
    assert promise(KEY, ORIGIN, bytes(32), calendar) != signed


@pytest.mark.compliance(
    "GDPR 7(1)", "a promise, a checkpoint and a proof show offline that an event is logged"
)
def test_a_kept_promise_is_checked_offline():
    log = leaves(MEANT)
    head = require_kept(MEANT, note(log), inclusion(log, 5), KEY.public)
    assert head.root == Tree(log).root()
    wrong = [
        (MEANT, note(log), inclusion(log, 4), KEY),
        (MEANT, note(log), inclusion(leaves(), 4), KEY),
        (MEANT, note(log, key=OTHER), inclusion(log, 5), KEY),
        (MEANT, note(log, origin="covey.test/other"), inclusion(log, 5), KEY),
        (Promise(ORIGIN, bytes(31) + b"\1", AT, AT), note(log), inclusion(log, 5), KEY),
    ]
    for promised, shown, proof, key in wrong:
        with pytest.raises(ServerError):
            require_kept(promised, shown, proof, key.public)


@pytest.mark.parametrize(
    ("held", "times", "verdict"),
    [
        ((MEANT,), (), PromiseVerdict.KEPT),
        ((MEANT,), (LATE,), PromiseVerdict.KEPT),
        ((), (LATE,), PromiseVerdict.BROKEN),
        ((), (IN_TIME - 1, LATE), PromiseVerdict.BROKEN),
        ((), (IN_TIME,), PromiseVerdict.OPEN),
        ((), (), PromiseVerdict.OPEN),
    ],
)
def test_a_promise_is_broken_only_where_a_witness_says_that_its_time_had_passed(held, times, verdict):
    log = leaves(*held)
    assert judge(MEANT, note(log, *times), log, KEY.public, [WITNESS]) is verdict


def test_a_promise_is_not_judged_by_leaves_that_are_not_the_logs():
    with pytest.raises(ServerError, match="not those of the checkpoint"):
        judge(MEANT, note(leaves(MEANT), LATE), leaves(), KEY.public, [WITNESS])
    with pytest.raises(ServerError, match="not signed"):
        judge(MEANT, note(leaves(), LATE), leaves(), OTHER.public, [WITNESS])
    stranger = VerifierKey("witness.test/1", COSIGNATURE, KEY.public)
    assert judge(MEANT, note(leaves(), LATE), leaves(), KEY.public, [stranger]) is PromiseVerdict.OPEN
