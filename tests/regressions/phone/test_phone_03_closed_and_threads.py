"""A closed or erased device says so, and several threads may use one device."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from covey_sdk.errors import EventError, StoreError


def uses(device, order):
    """Each way of using a device that needs the store."""
    return [
        device.tags,
        device.facts,
        device.ledger,
        device.export,
        device.gate,
        device.sync,
        lambda: device.record(order(1)),
        lambda: device.withdraw("personalize"),
        lambda: device.choices,
        lambda: device.recommend(["a"]),
    ]


def test_closed_and_erased_devices_say_so(device, opened, order, path):
    other = opened(path.with_name("other.db"))
    device.close()
    device.close()
    other.erase()
    for closed, word in ((device, "was closed; open it again"), (other, "was erased; open it anew")):
        for use in uses(closed, order):
            with pytest.raises(StoreError, match=word) as caught:
                use()
            assert "damaged" not in str(caught.value)


def test_a_process_is_told_that_another_erased_the_device(device, opened, order):
    other = opened()
    device.record(order(1))
    device.erase()
    for use in uses(other, order):
        with pytest.raises(StoreError, match="was erased by another process"):
            use()
    fresh = opened()
    assert fresh.key.public != other.key.public
    assert fresh.journal.events() == []


def test_an_erasure_that_was_cut_off_is_finished_at_the_next_opening(device, opened, monkeypatch):
    key = device.key.public
    monkeypatch.setattr("covey_sdk.store_file._files", lambda path: [])
    device.erase()
    monkeypatch.undo()
    assert opened().key.public != key


def test_threads_lose_nothing_that_was_acknowledged(device, order):
    """Every fifth call fails and is undone, without undoing what other threads do at the same time."""
    orders = {thread: [order(1 + thread / 100 + n / 10_000) for n in range(40)] for thread in range(4)}
    foreign = order(2, currency="CNY")

    def work(thread):
        kept = []
        for number, told in enumerate(orders[thread]):
            if number % 5 == 4:
                with pytest.raises(EventError, match="this profile is in"):
                    device.record_many([told, foreign])
            elif device.record(told):
                kept.append(told.order_id)
            assert device.tags()
        return kept

    device.record(order(3))
    with ThreadPoolExecutor(4) as pool:
        acknowledged = {name for kept in pool.map(work, orders) for name in kept}
    stored = {event.order_id for event in device.journal.events()}
    assert len(acknowledged) == 4 * 32
    assert acknowledged <= stored
    assert len(stored) == len(acknowledged) + 1


def test_a_withdrawal_in_one_thread_is_not_undone_by_recording_in_others(device, order):
    orders = [order(1 + number / 1000) for number in range(60)]
    with ThreadPoolExecutor(4) as pool:
        recorded = [pool.submit(device.record, told) for told in orders]
        pool.submit(device.withdraw, "personalize").result()
        assert all(future.exception() is None for future in recorded)
    assert device.journal.events() == []
    assert not device.gate().allows("personalize")
