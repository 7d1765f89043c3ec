"""SQLite's write-ahead log is copied into the database by the writer, once it has answered."""

import asyncio
import logging
import shutil
import sqlite3

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from covey_consent.storage.database import PATIENCE_SECONDS, connect
from covey_consent.storage.models import Subject
from covey_consent.storage.store import Store
from covey_consent.storage.write_ahead_log import GROUPS, WriteAheadLog
from covey_consent.storage.writer import Writer


def enrol(session, name):
    session.add(Subject(subject=name, enrolled_hour=0, country=""))


async def enrol_each(url, names):
    store = Store.open(url)
    for name in names:
        await store.write(enrol, name)
    return store


def known(path):
    with sqlite3.connect(path) as connection:
        return {name for (name,) in connection.execute("SELECT subject FROM subjects")}


@pytest.mark.parametrize(
    ("commits", "there"),
    [(GROUPS + 1, GROUPS), (2 * GROUPS - 1, GROUPS), (2 * GROUPS + 1, 2 * GROUPS)],
)
def test_every_eighth_group_is_followed_by_a_copy(tmp_path, commits, there):
    names = [f"{number:032x}" for number in range(commits)]

    async def play():
        store = await enrol_each(f"sqlite:///{tmp_path}/registry.db", names)
        # The writer had rested from the commit before the last. The file comes without its log.
        shutil.copy(tmp_path / "registry.db", tmp_path / "then.db")
        await store.close()

    asyncio.run(play())
    assert known(tmp_path / "then.db") == set(names[:there])


def test_nobody_waits_for_the_copy(tmp_path):
    """The answer is there while the writer rests."""
    database = connect(f"sqlite:///{tmp_path}/registry.db")
    rests = []
    writer = Writer(database.writer, lambda: rests.append(answer.done()))
    answer = writer.submit(lambda session: 7)
    writer.close()
    database.close()
    assert answer.result() == 7
    assert rests == [True]


def test_a_reader_who_looks_at_the_past_is_left_alone_and_not_waited_for(tmp_path):
    url = f"sqlite:///{tmp_path}/registry.db"

    async def play():
        store = await enrol_each(url, ["a" * 32])
        with store.reading() as session:
            before = session.query(Subject).count()
            # A copy that waited for the reader would wait for as long as a lock is waited for.
            async with asyncio.timeout(PATIENCE_SECONDS - 1):
                for number in range(2 * GROUPS):
                    await store.write(enrol, f"{number:032x}")
            after = session.query(Subject).count()
        await store.close()
        return before, after

    assert asyncio.run(play()) == (1, 1)


def test_a_copy_that_fails_is_told_and_the_writer_goes_on(tmp_path, caplog, monkeypatch):
    url = f"sqlite:///{tmp_path}/registry.db"
    failed = []

    def fail(_):
        failed.append(1)
        raise OperationalError("PRAGMA", {}, sqlite3.OperationalError("disk I/O error"))

    monkeypatch.setattr(WriteAheadLog, "_copy", fail)
    names = [f"{number:032x}" for number in range(GROUPS + 1)]

    async def play():
        store = await enrol_each(url, names)
        await store.close()

    with caplog.at_level(logging.WARNING, "covey.registry"):
        asyncio.run(play())
    assert failed == [1]
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        "the write-ahead log is copied later"
    ]
    with create_engine(url).connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM subjects").scalar() == len(names)
