"""The database fails, fills up, is locked, is another process's: nothing is half-written; it works again."""

import asyncio
import threading
from contextlib import contextmanager

import postgresql
import pytest
from sqlalchemy import event, func, select, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import InternalError

from covey_consent.errors import DamageError, UnavailableError
from covey_consent.storage import database
from covey_consent.storage.models import Event, StandingChoice, Subject
from covey_consent.storage.store import Store
from covey_privacy.manifest import sign_manifest
from covey_privacy.registry_messages import GRANTED, WITHDRAWN

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

END_THE_WRITER = """
    SELECT pg_terminate_backend(pid, 10000) FROM pg_locks JOIN pg_database ON database = pg_database.oid
    WHERE locktype = 'advisory' AND datname = current_database()
"""


def do(shop, statement):
    """Execute it on the connection that writes."""
    store = shop.http.app.state.registry.store
    asyncio.run(store.write(lambda session: session.execute(text(statement)).all()))


def count(shop, table):
    store = shop.http.app.state.registry.store
    return asyncio.run(store.read(lambda session: session.scalar(select(func.count()).select_from(table))))


@contextmanager
def at_the_first_insert(call):
    """Call once, in the thread that writes, when a row has been inserted and not yet committed."""
    called = []

    def executed(connection, cursor, statement, parameters, context, many):
        writing = threading.current_thread().name.startswith("registry-writer")
        if writing and statement.startswith("INSERT") and not called:
            called.append(statement)
            call()

    event.listen(Engine, "after_cursor_execute", executed)
    try:
        yield called
    finally:
        event.remove(Engine, "after_cursor_execute", executed)


@on_postgresql
def test_a_connection_lost_in_mid_request_leaves_nothing_and_the_next_request_is_served(
    shop, database_url, problem
):
    phone = shop.phone()
    with at_the_first_insert(lambda: postgresql.execute(database_url, postgresql.DISCONNECT)) as called:
        assert "try again" in problem(shop.decide(phone, "train"), 503)
    assert called
    assert count(shop, Event) == count(shop, StandingChoice) == 0
    shop.grant(phone, "train")
    assert shop.choices(phone) == {"train": GRANTED}
    assert count(shop, Event) == 1


@pytest.mark.compliance("GDPR 32", "served again once its database is back")
@on_postgresql
def test_while_the_database_is_away_requests_are_refused_and_then_served(
    shop, database_url, postgres, problem
):
    phone, stranger = shop.phone(), shop.phone()
    shop.grant(phone, "train")
    assert shop.choices(phone) == {"train": GRANTED}
    with postgresql.down(postgres, database_url):
        for _ in range(2):
            problem(shop.decide(phone, "train", WITHDRAWN), 503)
            problem(shop.post("/v1/sync", stranger.sync()), 503)
    assert shop.choices(phone) == {"train": GRANTED}
    shop.clock.now += 1
    shop.withdraw(phone, "train")
    assert shop.choices(phone) == {"train": WITHDRAWN}


@on_postgresql
def test_a_full_disk_of_the_servers_refuses_and_undoes(shop, database_url, problem):
    postgresql.execute(
        database_url,
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION USING ERRCODE = 'disk_full'; END $$",
        "CREATE TRIGGER full_disk BEFORE INSERT ON choices EXECUTE FUNCTION full_disk()",
    )
    phone = shop.phone()
    try:
        assert "no room" in problem(shop.decide(phone, "train"), 503)
        assert count(shop, Event) == 0
    finally:
        postgresql.execute(database_url, "DROP FUNCTION full_disk CASCADE")
    shop.grant(phone, "train")


@on_sqlite
def test_a_full_disk_refuses_and_undoes(shop, problem):
    phone = shop.phone()
    do(shop, "PRAGMA max_page_count = 1")  # As many pages as there are now.
    notice = shop.notices()["train"]
    many = [phone.decision(notice, WITHDRAWN, method="x" * 64, at=at) for at in range(100)]
    assert "no room" in problem(shop.post("/v1/decisions", phone.batch(*many)), 503)
    assert count(shop, Event) == 0
    do(shop, "PRAGMA max_page_count = 1000000")
    assert shop.post("/v1/decisions", phone.batch(*many)).status_code == 204
    assert count(shop, Event) == len(many)


@pytest.mark.parametrize(
    ("database_url", "impatient", "lock"),
    [
        ("sqlite", "PRAGMA busy_timeout = 20", "BEGIN IMMEDIATE"),
        ("postgresql", "SELECT set_config('lock_timeout', '20ms', false)", "LOCK TABLE events"),
    ],
    indirect=["database_url"],
)
def test_a_lock_that_somebody_holds_is_waited_for_and_then_refused(
    shop, database_url, problem, impatient, lock
):
    phone = shop.phone()
    do(shop, impatient)
    intruder = database.connect(database_url)
    try:
        with intruder.readers.execution_options(postgresql_readonly=False).connect() as connection:
            if database_url.startswith("sqlite"):
                connection.connection.driver_connection.execute(lock)
            else:
                connection.exec_driver_sql(lock)
            problem(shop.decide(phone, "train"), 503)
    finally:
        intruder.close()
    shop.grant(phone, "train")


def test_a_second_process_reads_and_does_not_write(database_url, monkeypatch):
    monkeypatch.setattr(database, "PATIENCE_SECONDS", 1)

    def enrol(session):
        session.add(Subject(subject="a", enrolled_hour=0, country=""))

    def enrolled(session):
        return list(session.scalars(select(Subject.subject)))

    async def run():
        first, second = Store.open(database_url), Store.open(database_url)
        await first.write(enrol)
        with pytest.raises(UnavailableError, match="another process writes"):
            await second.write(enrol)
        seen = await second.read(enrolled)
        await first.close()
        await second.write(lambda session: session.delete(session.get(Subject, "a")))
        seen += await second.read(enrolled)
        await second.close()
        return seen

    assert asyncio.run(run()) == ["a"]


def test_a_second_registry_does_not_start(shop, opened, monkeypatch):
    monkeypatch.setattr(database, "PATIENCE_SECONDS", 1)
    with pytest.raises(UnavailableError, match="another process writes"), opened():
        pass


@on_postgresql
def test_who_lost_the_lock_to_another_process_writes_no_more(database_url, monkeypatch):
    monkeypatch.setattr(database, "PATIENCE_SECONDS", 1)

    def nothing(session):
        session.execute(text("SELECT 1"))

    async def run():
        first, second = Store.open(database_url), Store.open(database_url)
        await first.write(nothing)
        postgresql.execute(database_url, END_THE_WRITER)
        await second.write(nothing)
        with pytest.raises(UnavailableError, match="another process writes"):
            await first.write(nothing)
        await second.close()
        await first.write(nothing)
        await first.close()

    asyncio.run(run())


def test_a_read_is_of_one_moment(database_url):
    def twice(session, read, go):
        before = session.scalar(select(func.count()).select_from(Subject))
        read.set()
        assert go.wait(30)
        return before, session.scalar(select(func.count()).select_from(Subject))

    async def run():
        store = Store.open(database_url)
        read, go = threading.Event(), threading.Event()
        reading = asyncio.create_task(store.read(twice, read, go))
        await asyncio.to_thread(read.wait)
        await store.write(lambda session: session.add(Subject(subject="a", enrolled_hour=0, country="")))
        go.set()
        counts = await reading
        after = await store.read(lambda session: session.scalar(select(func.count()).select_from(Subject)))
        await store.close()
        return counts, after

    assert asyncio.run(run()) == ((0, 0), 1)


@on_postgresql
def test_a_reader_cannot_write(database_url):
    async def run():
        store = Store.open(database_url)
        try:
            with pytest.raises(UnavailableError) as caught:
                await store.read(lambda session: session.execute(text("DELETE FROM devices")))
        finally:
            await store.close()
        return caught.value.__cause__

    assert isinstance(asyncio.run(run()), InternalError)


@on_postgresql
def test_a_text_with_a_nul_is_the_senders_mistake(shop, problem):
    terms = shop.manifest(shop.issuer("analytics"), round_id="a\0b")
    problem(shop.post("/v1/rounds", sign_manifest(terms, shop.operator)), 422)


@pytest.mark.parametrize("url", ["mysql://host/db", "sqlite://", "sqlite:///:memory:", "no url"])
def test_other_databases_are_refused_without_a_password_on_the_screen(url):
    with pytest.raises(DamageError, match="sqlite:///FILE or postgresql://"):
        database.connect(url)


def test_a_server_that_is_not_there_is_one_line(monkeypatch):
    with pytest.raises(UnavailableError, match="does not answer"):
        Store.open("postgresql://postgres@127.0.0.1:1/none")
