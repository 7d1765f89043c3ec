import asyncio
import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from covey_consent.decisions.standing_choices import StandingChoices
from covey_consent.errors import UnknownError
from covey_consent.storage.models import Device, Subject
from covey_consent.storage.store import Store
from covey_privacy import wire
from covey_privacy.registry_messages import GRANTED, REFUSED, WITHDRAWN, Batch
from covey_privacy.signatures import SigningKey

PURPOSES = ("core", "personalize", "analytics", "train", "replenish", "marketing")


@contextmanager
def listening(call):
    """Call with every statement once it has been executed, in the thread that did."""

    def executed(connection, cursor, statement, parameters, context, many):
        call(statement)

    event.listen(Engine, "after_cursor_execute", executed)
    try:
        yield
    finally:
        event.remove(Engine, "after_cursor_execute", executed)


def test_a_phone_that_syncs_again_costs_no_statement(shop):
    phone = shop.phone()
    shop.grant(phone, "train")
    statements = []
    assert shop.choices(phone) == {"train": GRANTED}
    with listening(statements.append):
        assert [shop.choices(phone) for _ in range(100)] == [{"train": GRANTED}] * 100
    # Upkeep may be at work beside.
    assert len(statements) < 100


def test_a_decision_shows_at_once(shop):
    phone = shop.phone()
    for state in (GRANTED, WITHDRAWN, REFUSED) * 3:
        assert shop.choices(phone) == shop.choices(phone)
        shop.clock.now += 1
        assert shop.decide(phone, "train", state).status_code == 204
        assert shop.choices(phone) == {"train": state}


def test_what_was_read_before_a_decision_is_not_kept_after_it(shop):
    phone = shop.phone()
    shop.grant(phone, "train")
    read, go = threading.Event(), threading.Event()

    def pause(statement):
        if "choices" in statement and threading.current_thread().name.startswith("registry-reader"):
            read.set()
            assert go.wait(30)

    with ThreadPoolExecutor(1) as threads, listening(pause):
        before = threads.submit(shop.choices, phone)
        assert read.wait(30)
        shop.withdraw(phone, "train")
        go.set()
        assert before.result() == {"train": GRANTED}
        assert shop.choices(phone) == {"train": WITHDRAWN}


def test_concurrent_decisions_all_show(shop):
    phone = shop.phone()

    def grant_and_look(purpose):
        shop.grant(phone, purpose)
        return shop.choices(phone)

    with ThreadPoolExecutor(len(PURPOSES)) as threads:
        looks = list(threads.map(grant_and_look, PURPOSES))
    assert all(purpose in look for purpose, look in zip(PURPOSES, looks, strict=True))
    assert shop.choices(phone) == dict.fromkeys(PURPOSES, GRANTED)


def test_a_batch_that_fails_leaves_what_stands(shop, problem):
    phone, notice = shop.phone(), shop.notices()["train"]
    stranger = dataclasses.replace(phone, key=SigningKey(b"s" * 32))
    shop.grant(phone, "train")
    signed = phone.decision(notice, WITHDRAWN), stranger.decision(notice)
    batch = wire.encode(Batch(signed, (phone.device, stranger.device)))
    assert shop.choices(phone) == {"train": GRANTED}
    problem(shop.post("/v1/decisions", batch), 404)
    assert shop.choices(phone) == {"train": GRANTED}


@pytest.mark.parametrize(("limit", "reads"), [(2, 4), (3, 3)])
def test_the_people_at_hand_are_bounded(database_url, limit, reads):
    statements = []

    def enrol(session):
        for name in "abc":
            session.add(Subject(subject=name, enrolled_hour=0, country=""))
            session.flush()
            session.add(Device(key=name.encode(), subject=name, enrolled_hour=0))

    async def run():
        store = Store.open(database_url)
        choices = StandingChoices(store, None, limit)
        await store.write(enrol)
        with listening(statements.append):
            for name in "abacab":
                assert await choices.find_of_device(name.encode()) == await choices.find(name) == {}
        await store.close()

    asyncio.run(run())
    assert sum("choices" in statement for statement in statements) == reads


def test_people_asked_for_at_once_are_looked_up_together(database_url):
    statements = []
    names = [f"{number:02}" for number in range(30)]

    def enrol(session):
        session.add_all(Subject(subject=name, enrolled_hour=0, country="") for name in names)

    async def run():
        store = Store.open(database_url)
        choices = StandingChoices(store, None)
        await store.write(enrol)
        with listening(statements.append):
            asked = [choices.find(name) for name in [*names, "stranger"]]
            *found, stranger = await asyncio.gather(*asked, return_exceptions=True)
        await store.close()
        assert found == [{}] * len(names)
        assert isinstance(stranger, UnknownError), "nobody else's answer suffers"

    asyncio.run(run())
    assert sum("choices" in statement for statement in statements) == 1
