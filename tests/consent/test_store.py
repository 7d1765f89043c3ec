import asyncio
import shutil
import threading
from contextlib import asynccontextmanager, contextmanager
from functools import partial

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import IntegrityError, OperationalError

from covey_consent.errors import UnavailableError
from covey_consent.storage.database import connect
from covey_consent.storage.models import Device, Issuance, PublishedCheckpoint, Subject
from covey_consent.storage.store import Store, rows_as_json
from covey_consent.storage.writer import GROUP, after_commit
from covey_consent.transparency.log import Log
from covey_privacy.registry_messages import LEAF_NOTICE
from covey_privacy.signatures import SigningKey

DATABASE_FAILURE = (OperationalError, UnavailableError)
"""What SQLite and PostgreSQL, each, answer who shared a transaction that is lost."""


@asynccontextmanager
async def opened(url, **options):
    store = Store.open(url, **options)
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


def fail_at_commit(session):
    """Break a constraint that is checked at COMMIT."""
    if session.connection().dialect.name == "sqlite":
        session.execute(text("PRAGMA defer_foreign_keys=ON"))
        session.add(Issuance(epoch=0, purposes="core", subject="nobody", hour=0, request=b""))
    else:
        session.execute(text("CREATE TEMPORARY TABLE once (it int UNIQUE DEFERRABLE INITIALLY DEFERRED)"))
        session.execute(text("INSERT INTO once VALUES (1), (1)"))


def lose_the_transaction(session):
    """Do what SQLite may do when the disk is full, and PostgreSQL when it stops."""
    if session.connection().dialect.name == "sqlite":
        session.execute(text("ROLLBACK"))
    else:
        session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))


def append(log, body, session):
    return log.append(session, LEAF_NOTICE, body)


def enrolled(url):
    """Return whom another connection to the database sees."""
    other = connect(url)
    try:
        with other.readers.connect() as connection:
            return set(connection.scalars(select(Device.key)))
    finally:
        other.close()


@pytest.mark.parametrize(("options", "says"), [({}, (2, "on")), ({"durable": False}, (0, "off"))])
def test_a_commit_waits_for_the_disk_unless_told_otherwise(database_url, options, says):
    def ask(session):
        on_sqlite = session.connection().dialect.name == "sqlite"
        return session.scalar(text("PRAGMA synchronous" if on_sqlite else "SHOW synchronous_commit"))

    async def run():
        async with opened(database_url, **options) as store:
            return await store.write(ask)

    assert asyncio.run(run()) in says


def test_what_fails_is_undone_alone(database_url):
    works = partial(enrol, b"a"), partial(enrol_and_fail, b"b"), partial(enrol, b"a"), partial(enrol, b"c")

    async def run():
        async with opened(database_url) as store:
            return await together(store, *works)

    first, failed, twice, last = asyncio.run(run())
    assert (first, last) == (b"a", b"c")
    assert isinstance(failed, ValueError)
    assert isinstance(twice, IntegrityError)
    assert enrolled(database_url) == {b"a", b"c"}


@pytest.mark.parametrize(
    ("broken", "error"), [(fail_at_commit, IntegrityError), (lose_the_transaction, DATABASE_FAILURE)]
)
def test_a_failed_commit_is_everyones(database_url, broken, error):
    works = partial(enrol, b"a"), partial(enrol_and_fail, b"b"), broken, partial(enrol, b"c")

    async def run():
        async with opened(database_url) as store:
            answers = await together(store, *works)
            kept = enrolled(database_url)
            await store.write(partial(enrol, b"d"))
            return answers, kept

    answers, kept = asyncio.run(run())
    assert [isinstance(answer, error) for answer in answers] == [True] * 4
    assert kept == set()
    assert enrolled(database_url) == {b"d"}


def test_a_group_is_one_transaction(database_url):
    names = [b"%d" % i for i in range(GROUP + 1)]

    async def run():
        async with opened(database_url) as store:
            with counting("commit") as commits:
                answers = await together(store, *(partial(enrol, name) for name in names))
            return answers, len(commits)

    answers, commits = asyncio.run(run())
    assert answers == names
    assert enrolled(database_url) == set(names)
    assert commits == len(["the one that held the writer", "a full group", "the one work more"])


def test_a_group_that_appended_to_the_log_publishes_once(database_url):
    async def run():
        async with opened(database_url) as store:
            log = Log(store, "covey.test/log", SigningKey(bytes(32)))
            appends = [partial(append, log, b"%d" % i) for i in range(5)]
            async with held(store):
                awaiting = await hand_over(log, *appends)
            indices = await asyncio.gather(*awaiting)
            published = select(PublishedCheckpoint.size)
            return indices, len(log), await store.read(lambda session: list(session.scalars(published)))

    assert asyncio.run(run()) == ([0, 1, 2, 3, 4], 5, [5])


def test_what_was_acknowledged_outlives_a_crash(tmp_path):
    file, crashed = tmp_path / "registry.db", tmp_path / "crashed"

    async def run():
        async with opened(f"sqlite:///{file}") as store:
            await store.write(partial(enrol, b"a"))
            shutil.copytree(tmp_path, crashed)
        return enrolled(f"sqlite:///{crashed / file.name}")

    assert asyncio.run(run()) == {b"a"}


def test_calls_come_after_the_commit_and_before_the_answer(database_url):
    seen = []

    def work(session):
        after_commit(session, lambda: seen.append(enrolled(database_url)))
        return enrol(b"a", session)

    async def run():
        async with opened(database_url) as store:
            answers = await together(store, work, partial(enrol, b"b"))
            return answers, list(seen)

    assert asyncio.run(run()) == ([b"a", b"b"], [{b"a", b"b"}])


def test_a_failed_call_is_its_own_works_failure(database_url):
    def fail():
        raise ValueError

    def work(session):
        after_commit(session, fail)

    async def run():
        async with opened(database_url) as store:
            return await together(store, partial(enrol, b"a"), work, partial(enrol, b"b"))

    first, failed, last = asyncio.run(run())
    assert (first, last) == (b"a", b"b")
    assert isinstance(failed, ValueError)


def test_what_nobody_waits_for_any_more_is_not_begun(database_url):
    async def run():
        async with opened(database_url) as store:
            async with held(store):
                left, kept = await hand_over(store, partial(enrol, b"a"), partial(enrol, b"b"))
                left.cancel()
                await asyncio.wait([left])
            return await kept

    assert asyncio.run(run()) == b"b"
    assert enrolled(database_url) == {b"b"}


def test_close_commits_what_was_handed_over_and_ends_the_threads(database_url):
    async def run():
        store = Store.open(database_url)
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
    assert enrolled(database_url) == {b"a", b"b"}


@pytest.mark.parametrize("names", [(), (b"a",), (b"a", b"b", b"c")])
def test_gathered_rows_are_the_querys_own(database_url, names):
    odd = 'a "quoted", \\ and {braced} 名\u2028'

    def write(session):
        for name in names:
            session.add(Subject(subject=name.hex(), enrolled_hour=2**53 - 1, country=odd, guardian=None))

    def read(session):
        query = select(Subject.subject, Subject.enrolled_hour, Subject.country, Subject.guardian)
        return rows_as_json(session, query), [list(row) for row in session.execute(query)]

    async def play():
        async with opened(database_url) as store:
            await store.write(write)
            return await store.read(read)

    found, rows = asyncio.run(play())
    assert sorted(found) == sorted(rows)
    assert len(found) == len(names)
