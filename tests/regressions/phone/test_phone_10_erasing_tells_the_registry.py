"""Erasing withdraws everything at the registry first, and a reinstalled phone starts no new budget."""

from __future__ import annotations

from dataclasses import replace

import pytest

from covey_consent.access.roles import Caller, Role
from covey_privacy.checkpoint import EMPTY_LOG
from covey_privacy.dp import SkellamMechanism
from covey_privacy.errors import BudgetError
from covey_privacy.registry_messages import SYNC, Sync
from covey_privacy.signatures import sign
from covey_sdk.clock import milliseconds
from covey_sdk.errors import StoreError
from covey_sdk.ticket_store import TicketStore

PURPOSES = ("analytics", "personalize")


def granted(shop, key, clock):
    """Return what the registry holds as granted by the device that had this key."""
    signed = sign(SYNC, Sync(key.public, milliseconds(clock.now), 0), key)
    synced, _ = shop.way().sync(signed, EMPTY_LOG, "", int(clock.now.timestamp()))
    return {choice.purpose for choice in synced.choices if choice.state == "granted"}


def test_erasing_withdraws_everything_at_the_registry(device, shop, clock, path):
    device.grant("train")
    assert granted(shop, device.key, clock) == {"personalize", "train"}
    assert device.erase() == b""
    assert granted(shop, device.key, clock) == set()
    assert list(path.parent.glob(path.name + "*")) == []


def test_what_is_erased_offline_is_withdrawn_later(device, shop, clock, path):
    device.grant("train")
    shop.reachable = False
    farewell = device.erase()
    assert list(path.parent.glob(path.name + "*")) == []
    shop.reachable = True
    clock.forward(days=30)
    for _ in range(2):
        shop.way().send_farewell(farewell)
    assert granted(shop, device.key, clock) == set()


def test_a_farewell_that_is_kept_before_erasing_withdraws_at_once(device, shop, clock, order):
    device.record(order(1))
    farewell = device.farewell()
    assert not device.gate().allows("personalize")
    assert device.journal.events() == []
    shop.way().send_farewell(farewell)
    assert granted(shop, device.key, clock) == set()
    assert device.erase() == b""


def test_a_grant_that_another_process_made_is_withdrawn_too(device, opened, shop, clock):
    opened().grant("train")
    device.erase()
    assert granted(shop, device.key, clock) == set()


def test_with_nothing_allowed_there_is_nothing_to_send(opened, shop):
    fresh = opened()
    posted = len(shop.seen)
    assert fresh.erase() == b""
    assert len(shop.seen) == posted


def test_a_damaged_store_can_be_erased(device, path):
    device.close()
    device.erase()
    assert list(path.parent.glob(path.name + "*")) == []
    with pytest.raises(StoreError):
        device.tags()


@pytest.fixture
def person(shop, clock):
    """Give a person's next phone to them, as the shop's server does."""
    caller = Caller(Role.SERVICE, "shop", None)
    token = shop.http.app.state.registry.tokens.mint(caller, int(clock.now.timestamp()), 3600)
    headers = {"authorization": f"Bearer {token}"}
    subject = shop.http.post("/v1/subjects", json={}, headers=headers).json()["subject"]

    def attach(device):
        where = f"/v1/subjects/{subject}/devices/{device.key.public.hex()}"
        token = shop.http.app.state.registry.tokens.mint(caller, int(clock.now.timestamp()), 3600)
        headers = {"authorization": f"Bearer {token}"}
        assert shop.http.put(where, headers=headers).status_code == 204
        for purpose in PURPOSES:
            device.grant(purpose)

    return attach


def fetch(device, shop):
    """Fetch the epoch's tickets."""
    epoch = shop.http.get("/v1/epoch").json()["epoch"]
    shop.http.get(f"/v1/issuers/{epoch}/{'+'.join(PURPOSES)}")
    device.sync()
    issuer = device.registry.issuer(PURPOSES, epoch, device.consents.checkpoint)
    wallet = TicketStore(device.store, device.key)
    wallet.fetch(issuer, device.registry, device.clock.now(), lambda name: device.gate().allows(name))


def test_a_reinstalled_phone_counts_what_its_person_was_issued(opened, shop, clock, person, path):
    first = opened(path.with_name("first.db"))
    person(first)
    for _ in range(3):
        fetch(first, shop)
        clock.forward(days=1)
    assert first.odometer.elsewhere(clock.now) == {}
    first.erase()

    again = opened(path.with_name("again.db"))
    clock.forward(seconds=1)
    person(again)
    fetch(again, shop)
    cap = again.notices["analytics"].epsilon
    assert again.odometer.elsewhere(clock.now)["analytics"] == pytest.approx(3 / 366 * cap)
    assert again.odometer.spent(clock.now, "analytics") == pytest.approx(3 / 366 * cap)
    clock.forward(days=1)
    fetch(again, shop)
    assert again.odometer.elsewhere(clock.now)["analytics"] == pytest.approx(3 / 366 * cap)
    clock.forward(days=366)
    assert again.odometer.spent(clock.now) == 0.0


def test_the_caps_shrink_by_what_counts_as_spent_elsewhere(device, clock):
    device.grant("analytics")
    odometer, now = device.odometer, clock.now
    room = SkellamMechanism(1.0, 1.0, 40.0, 8)
    odometer.charge("r1", "analytics", room, now)
    cost = odometer.spent(now, "analytics")
    cap = device.notices["analytics"].epsilon
    batches = int((cap - cost) / cap * 100) + 1
    with device.store.transaction():
        odometer._issuances.record(PURPOSES, batches + 1, 100, now)
    with pytest.raises(BudgetError, match=f"the cap is {cap * (1 - batches / 100):.3f}"):
        odometer.charge("r2", "analytics", room, now)
    with device.store.transaction():
        odometer._issuances.record(PURPOSES, 2, 100, now)
    odometer.charge("r2", "analytics", replace(room, variance=4e6), now)
