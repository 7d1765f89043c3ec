"""Two processes of one app have one store open: what one of them decides counts in the other at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from covey_privacy.registry_messages import Choice
from covey_privacy.tickets import Role
from covey_sdk.errors import ClockError, ConsentError, RegistryError, TicketError
from covey_sdk.rule_bundle import BASE, sign_rules
from covey_sdk.store import Store
from covey_sdk.ticket_store import TicketStore

PURPOSES = ("analytics", "personalize")


@pytest.fixture
def background(opened, device):
    """The background process, which opened the store when `train` was allowed."""
    device.grant("train")
    device.grant("analytics")
    return opened()


@pytest.fixture
def ui(background, device):
    return device


def at_registry(device):
    """What the registry answers about the device now."""
    device.sync()
    return {choice.purpose: choice.state for choice in device.consents._state.read().confirmed}


def issuer_of(device, shop):
    """The issuer of this epoch's tickets, whose key stands in the log that the device knows."""
    epoch = shop.http.get("/v1/epoch").json()["epoch"]
    shop.http.get(f"/v1/issuers/{epoch}/{'+'.join(PURPOSES)}")
    device.sync()
    return device.registry.issuer(PURPOSES, epoch, device.consents.checkpoint)


def allows(device):
    """Whether the device allows a purpose, as it stands whenever that is asked."""
    return lambda purpose: device.gate().allows(purpose)


def during(shop, path, act):
    """Run `act` while the next request to `path` is answered, before its answer arrives."""

    def answer(request, response):
        if request.url.path == path:
            shop.answer = lambda _, response: response
            act()
        return response

    shop.answer = answer


def test_a_withdrawal_is_not_lost(ui, background, opened, shop):
    shop.reachable = False
    ui.withdraw("train")
    shop.reachable = True
    background.sync()
    assert not background.gate().allows("train")
    assert not opened().gate().allows("train")
    assert at_registry(ui)["train"] == "withdrawn"


def test_another_process_records_nothing_for_a_withdrawn_purpose(ui, background, order):
    ui.withdraw("personalize")
    assert background.record(order(1)) is False
    assert background.journal.events() == []
    assert background.tags() == ()


def test_a_withdrawal_during_a_sync_of_another_process_counts(ui, background, shop):
    during(shop, "/v1/sync", lambda: ui.withdraw("train"))
    background.sync()
    assert not background.gate().allows("train")
    assert at_registry(background)["train"] == "withdrawn"


def test_a_grant_during_a_sync_of_another_process_is_not_taken_for_ended(ui, background, shop, clock):
    ui.withdraw("train")
    clock.forward(seconds=1)
    during(shop, "/v1/sync", lambda: ui.grant("train"))
    background.sync()
    assert background.choices["train"] == Choice("train", "granted", 1)


def test_a_later_withdrawal_is_not_taken_for_the_one_that_was_sent(ui, background, shop):
    """Both processes act within one millisecond of the clock."""

    def act():
        ui.grant("train")
        shop.reachable = False
        ui.withdraw("train")
        shop.reachable = True

    during(shop, "/v1/decisions", act)
    background.withdraw("train")
    assert at_registry(background)["train"] == "withdrawn"
    assert not ui.gate().allows("train")


def test_a_grant_after_a_withdrawal_waits_for_the_registry(ui, background, shop):
    """What the registry confirmed before the withdrawal confirms no later grant."""
    shop.reachable = False
    ui.withdraw("train")
    with pytest.raises(RegistryError):
        ui.grant("train")
    assert not background.gate().allows("train")
    shop.reachable = True
    background.sync()
    assert ui.gate().allows("train")


def test_a_grant_after_a_withdrawal_during_a_sync_waits_for_the_registry(ui, background, shop):
    """The registry still confirms the grant before, because the withdrawal has not reached it."""
    background.decision("analytics", "withdrawn")
    during(shop, "/v1/decisions", lambda: ui.decision("train", "withdrawn"))
    background.sync()
    ui.decision("train", "granted")
    assert not background.gate().allows("train")
    background.sync()
    assert ui.gate().allows("train")


def test_the_ledger_says_so_where_a_withdrawal_arrives_after_a_later_grant(ui, background, shop):
    """Clocks differ: of a grant and a withdrawal within minutes, the registry takes the withdrawal."""
    withdrawal = background.decision("train", "withdrawn")
    late = background.consents.batch(withdrawal)
    during(shop, "/v1/decisions", lambda: background.registry.decide(late))
    ui.grant("train")
    assert not background.gate().allows("train")
    assert "did not accept" in ui.ledger()[-1].said_en
    ui.grant("train")
    assert background.gate().allows("train")


def test_a_sync_gives_up_where_consents_keep_changing(ui, background, shop):
    def answer(request, response):
        if request.url.path == "/v1/sync":
            ui.decision("train", "withdrawn")
        return response

    shop.answer = answer
    with pytest.raises(RegistryError, match="sync again later"):
        background.sync()
    assert not background.gate().allows("train")


def test_no_process_fetches_tickets_for_a_purpose_that_another_withdrew(ui, background, shop):
    issuer = issuer_of(background, shop)
    wallet, now = TicketStore(background.store, background.key), background.clock.now()
    during(shop, "/v1/tickets", lambda: ui.withdraw("analytics"))
    with pytest.raises(ConsentError, match="not allowed"):
        wallet.fetch(issuer, background.registry, now, allows(background))
    with pytest.raises(ConsentError, match="has no tickets for analytics"):
        wallet.take(issuer.keys, Role.CONTRIBUTE, 1)


def test_two_processes_show_no_ticket_twice(ui, background, shop):
    issuer = issuer_of(ui, shop)
    one, other = TicketStore(ui.store, ui.key), TicketStore(background.store, background.key)
    taken = []

    def fetch_and_take():
        one.fetch(issuer, ui.registry, ui.clock.now(), allows(ui))
        taken.append(one.take(issuer.keys, Role.CONTRIBUTE, 1))

    during(shop, "/v1/tickets", fetch_and_take)
    other.fetch(issuer, background.registry, background.clock.now(), allows(background))
    first, *others = issuer.keys
    with pytest.raises(TicketError, match="role contribute, slot 1 was used"):
        other.take(issuer.keys, first.role, first.slot)
    taken += [other.take(issuer.keys, each.role, each.slot) for each in others]
    assert len({key.ticket.round_key for key in taken}) == issuer.keys.batch
    for each in issuer.keys:
        with pytest.raises(TicketError, match=f"role {each.role.name.lower()}, slot {each.slot} was used"):
            one.take(issuer.keys, each.role, each.slot)


def test_the_latest_reading_of_the_clock_is_the_store_s(ui, background, clock, order):
    clock.forward(hours=1)
    ui.record(order(1))
    clock.forward(minutes=-30)
    with pytest.raises(ClockError, match="set it right"):
        background.record(order(1))


def test_another_process_uses_newly_adopted_rules(ui, background, order, shop):
    ui.record(order(10))
    ui.adopt_rules(sign_rules(replace(BASE, version=3), shop.operator))
    assert {tag.rule_version for tag in background.tags()} == {3}
    with pytest.raises(RegistryError, match="a newer one was expected"):
        background.adopt_rules(sign_rules(replace(BASE, version=2), shop.operator))


def test_evidence_against_the_log_stops_every_process(ui, background):
    background.log.see("note of the other process")
    assert ui.log.note == "note of the other process"


def test_processes_that_make_a_store_together_share_its_key(opened, path):
    at = path.with_name("new.db")
    with ThreadPoolExecutor(8) as pool:
        devices = list(pool.map(lambda _: opened(at), range(8)))
    assert len({device.key.public for device in devices}) == 1


@pytest.mark.parametrize("times", [100, pytest.param(1_000, marks=pytest.mark.slow)])
def test_a_new_store_opens_for_all_who_make_it_at_once(tmp_path, times):
    # The change of a new file to WAL failed in one of 25 such openings: SQLite does not wait there.
    for number in range(times):
        with ThreadPoolExecutor(8) as pool:
            stores = list(pool.map(lambda _, at=tmp_path / f"{number}.db": Store(at, bytes(32)), range(8)))
        for store in stores:
            store.close()
