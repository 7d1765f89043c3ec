import asyncio
import shutil
import sqlite3
import threading
from contextlib import asynccontextmanager, closing, contextmanager
from functools import partial

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import IntegrityError, OperationalError

from covey_consent.log import Log
from covey_consent.models import Device, Issuance, PublishedCheckpoint, Subject
from covey_consent.store import Store
from covey_consent.writer import GROUP, after_commit
from covey_privacy.consent import LEAF_NOTICE
from covey_privacy.signatures import SigningKey


@pytest.fixture
def file(tmp_path):
    return tmp_path / "registry.db"


@asynccontextmanager
async def opened(file, **options):
    store = Store.open(f"sqlite:///{file}", **options)
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def held(store):
    """Hold the writer: what is handed over within the block is one group."""
    begun, go = threading.Event(), threading.Event()

    def hold(session):
        begun.set()
        assert go.wait(30)

    holding = asyncio.create_task(store.write(hold))
    await asyncio.to_thread(begun.wait)
    try:
        yield
    finally:
        go.set()
        await holding


async def hand_over(to, *works):
    """Queue the works for the store, or through its log, and return who awaits each."""
    awaiting = [asyncio.create_task(to.write(work)) for work in works]
    await asyncio.sleep(0)  # Each task hands its work over in its first step.
    return awaiting


async def together(store, *works):
    """Return what each awaiter gets of works that are committed as one group."""

    async with held(store):
        awaiting = await hand_over(store, *works)
    return await asyncio.gather(*awaiting, return_exceptions=True)


@contextmanager
def counting(name):
    """Collect the engine's events of this name."""
    seen = []

    def happened(connection):
        seen.append(connection)

    event.listen(Engine, name, happened)
    try:
        yield seen
    finally:
        event.remove(Engine, name, happened)


def enrol(name, session):
    session.add(Subject(subject=name.hex(), enrolled_hour=0, country=""))
    session.flush()
    session.add(Device(key=name, subject=name.hex(), enrolled_hour=0))
    session.flush()
    return name


def enrol_and_fail(name, session):
    enrol(name, session)
    raise ValueError(name)


def book_for_nobody(session):
    """Break a constraint that is checked at COMMIT."""
    session.execute(text("PRAGMA defer_foreign_keys=ON"))
    session.add(Issuance(epoch=0, purposes="core", subject="nobody", hour=0, request=b""))


def lose_the_transaction(session):
    """Do what SQLite may do when the disk is full."""
    session.execute(text("ROLLBACK"))


def append(log, body, session):
    return log.append(session, LEAF_NOTICE, body)


def enrolled(file):
    """Return whom another connection to the file sees."""
    with closing(sqlite3.connect(file)) as database:
        return {key for (key,) in database.execute("select key from devices")}


@pytest.mark.parametrize(("options", "level"), [({}, 2), ({"durable": False}, 0)])
def test_a_commit_waits_for_the_disk_unless_told_otherwise(file, options, level):
    async def synchronous():
        async with opened(file, **options) as store:
            return await store.read(lambda session: session.scalar(text("PRAGMA synchronous")))

    assert asyncio.run(synchronous()) == level


def test_what_fails_is_undone_alone(file):
    works = partial(enrol, b"a"), partial(enrol_and_fail, b"b"), partial(enrol, b"a"), partial(enrol, b"c")

    async def run():
        async with opened(file) as store:
            return await together(store, *works)

    first, failed, twice, last = asyncio.run(run())
    assert (first, last) == (b"a", b"c")
    assert isinstance(failed, ValueError)
    assert isinstance(twice, IntegrityError)
    assert enrolled(file) == {b"a", b"c"}


@pytest.mark.parametrize(
    ("broken", "error"), [(book_for_nobody, IntegrityError), (lose_the_transaction, OperationalError)]
)
def test_a_failed_commit_is_everyones(file, broken, error):
    works = partial(enrol, b"a"), partial(enrol_and_fail, b"b"), broken, partial(enrol, b"c")

    async def run():
        async with opened(file) as store:
            answers = await together(store, *works)
            kept = enrolled(file)
            await store.write(partial(enrol, b"d"))
            return answers, kept

    answers, kept = asyncio.run(run())
    assert [type(answer) for answer in answers] == [error] * 4
    assert kept == set()
    assert enrolled(file) == {b"d"}


def test_a_group_is_one_transaction(file):
    names = [b"%d" % i for i in range(GROUP + 1)]

    async def run():
        async with opened(file) as store:
            with counting("commit") as commits:
                answers = await together(store, *(partial(enrol, name) for name in names))
            return answers, len(commits)

    answers, commits = asyncio.run(run())
    assert answers == names
    assert enrolled(file) == set(names)
    assert commits == len(["the one that held the writer", "a full group", "the one work more"])


def test_a_group_that_appended_to_the_log_publishes_once(file):
    async def run():
        async with opened(file) as store:
            log = Log(store, "covey.test/log", SigningKey(bytes(32)))
            appends = [partial(append, log, b"%d" % i) for i in range(5)]
            async with held(store):
                awaiting = await hand_over(log, *appends)
            indices = await asyncio.gather(*awaiting)
            published = select(PublishedCheckpoint.size)
            return indices, len(log), await store.read(lambda session: list(session.scalars(published)))

    assert asyncio.run(run()) == ([0, 1, 2, 3, 4], 5, [5])


def test_what_was_acknowledged_outlives_a_crash(file, tmp_path):
    crashed = tmp_path / "crashed"

    async def run():
        async with opened(file) as store:
            await store.write(partial(enrol, b"a"))
            shutil.copytree(tmp_path, crashed)
        async with opened(crashed / file.name) as store:
            return await store.read(lambda session: list(session.scalars(select(Device.key))))

    assert asyncio.run(run()) == [b"a"]


def test_calls_come_after_the_commit_and_before_the_answer(file):
    seen = []

    def work(session):
        after_commit(session, lambda: seen.append(enrolled(file)))
        return enrol(b"a", session)

    async def run():
        async with opened(file) as store:
            answers = await together(store, work, partial(enrol, b"b"))
            return answers, list(seen)

    assert asyncio.run(run()) == ([b"a", b"b"], [{b"a", b"b"}])


def test_a_failed_call_is_its_own_works_failure(file):
    def fail():
        raise ValueError

    def work(session):
        after_commit(session, fail)

    async def run():
        async with opened(file) as store:
            return await together(store, partial(enrol, b"a"), work, partial(enrol, b"b"))

    first, failed, last = asyncio.run(run())
    assert (first, last) == (b"a", b"b")
    assert isinstance(failed, ValueError)


def test_what_nobody_waits_for_any_more_is_not_begun(file):
    async def run():
        async with opened(file) as store:
            async with held(store):
                left, kept = await hand_over(store, partial(enrol, b"a"), partial(enrol, b"b"))
                left.cancel()
                await asyncio.wait([left])
            return await kept

    assert asyncio.run(run()) == b"b"
    assert enrolled(file) == {b"b"}


def test_close_commits_what_was_handed_over_and_ends_the_threads(file):
    async def run():
        store = Store.open(f"sqlite:///{file}")
        async with held(store):
            awaiting = await hand_over(store, partial(enrol, b"a"), partial(enrol, b"b"))
            closed = asyncio.create_task(store.close())
        await closed
        left = [thread.name for thread in threading.enumerate() if thread.name.startswith("registry-")]
        with pytest.raises(RuntimeError):
            await store.write(partial(enrol, b"c"))
        with pytest.raises(RuntimeError):
            await store.read(lambda session: None)
        return await asyncio.gather(*awaiting), left

    assert asyncio.run(run()) == ([b"a", b"b"], [])
    assert enrolled(file) == {b"a", b"b"}
