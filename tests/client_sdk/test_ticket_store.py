"""A phone's tickets: one of each role and slot, in one batch for a purpose set and epoch, each shown once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import httpx
import pytest

from covey_privacy import tickets, wire
from covey_privacy.errors import ServerError
from covey_privacy.registry_messages import BlindSignatures, TicketRequest
from covey_privacy.signatures import Signed
from covey_privacy.tickets import Role
from covey_sdk.errors import RegistryError, TicketError
from covey_sdk.ticket_store import TicketStore

PURPOSES = ("analytics",)


@pytest.fixture
def phone(device):
    device.grant("analytics")
    return device


@pytest.fixture
def issuer(phone):
    epoch = phone.registry.epoch().number
    phone.registry.issuer_index(PURPOSES, epoch)
    phone.sync()
    return phone.registry.issuer(PURPOSES, epoch, phone.consents.checkpoint)


def fetch(phone, issuer):
    """Let a phone fetch the batch; return its wallet."""
    wallet = TicketStore(phone.store, phone.key)
    wallet.fetch(issuer, phone.registry, phone.clock.now(), lambda name: phone.gate().allows(name))
    return wallet


def asked(shop):
    """What was asked for tickets so far: the blinded messages of each request."""
    signed = [each.content for each in shop.seen if each.url.path == "/v1/tickets"]
    return [wire.decode(TicketRequest, wire.decode(Signed, each).body).blinded for each in signed]


def left(wallet, keys):
    """The round keys of the tickets that a wallet still has, by role and slot; they are taken."""
    found = {}
    for each in keys:
        try:
            key = wallet.take(keys, each.role, each.slot)
        except TicketError:
            continue
        key.ticket.check(each)
        found[each.role, each.slot] = key.ticket.round_key
    return found


def lose_the_answer(shop):
    """Let the registry answer the next request for tickets, and the answer get lost."""

    def lost(request, response):
        if request.url.path != "/v1/tickets":
            return response
        shop.answer = lambda _, response: response
        assert response.status_code == 200
        raise httpx.ConnectError("the line broke", request=request)

    shop.answer = lost


def test_a_batch_has_a_ticket_of_each_role_and_slot(phone, issuer):
    found = left(fetch(phone, issuer), issuer.keys)
    assert list(found) == [(role, slot) for role in Role for slot in (1, 2)]
    assert len(set(found.values())) == 4


def test_a_ticket_is_taken_once_and_no_other_with_it(phone, issuer, opened):
    wallet = fetch(phone, issuer)
    wallet.take(issuer.keys, Role.VOLUNTEER, 2)
    again = opened()
    for known in (wallet, TicketStore(again.store, again.key)):
        with pytest.raises(TicketError, match=r"analytics in epoch \d+, role volunteer, slot 2 was used"):
            known.take(issuer.keys, Role.VOLUNTEER, 2)
    assert list(left(wallet, issuer.keys)) == [
        (Role.CONTRIBUTE, 1),
        (Role.CONTRIBUTE, 2),
        (Role.VOLUNTEER, 1),
    ]


def test_used_tickets_are_not_fetched_again(phone, issuer, shop):
    keys = issuer.keys
    assert len(left(fetch(phone, issuer), keys)) == 4
    assert left(fetch(phone, issuer), keys) == {}
    assert len(asked(shop)) == 1


def test_a_slot_that_the_issuer_lacks_takes_no_ticket(phone, issuer):
    wallet = fetch(phone, issuer)
    for slot in (0, 3):
        with pytest.raises(ServerError, match="slots 1 to 2"):
            wallet.take(issuer.keys, Role.CONTRIBUTE, slot)
    assert len(left(wallet, issuer.keys)) == 4


def test_tickets_of_another_epoch_are_of_no_use(phone, issuer, clock):
    wallet = fetch(phone, issuer)
    clock.forward(days=1)
    phone.sync()
    phone.registry.issuer_index(PURPOSES, issuer.keys.epoch + 1)
    phone.sync()
    later = phone.registry.issuer(PURPOSES, issuer.keys.epoch + 1, phone.consents.checkpoint)
    with pytest.raises(TicketError, match="has no tickets for analytics"):
        wallet.take(later.keys, Role.CONTRIBUTE, 1)
    assert len(left(fetch(phone, later), later.keys)) == 4
    assert left(wallet, issuer.keys) == {}


def test_a_crash_between_request_and_answer_starts_no_second_batch(phone, issuer, shop, opened):
    lose_the_answer(shop)
    with pytest.raises(RegistryError, match="the line broke"):
        fetch(phone, issuer)
    phone.close()
    again = opened()
    wallet = fetch(again, issuer)
    first, second = asked(shop)
    assert first == second
    assert len(left(wallet, issuer.keys)) == 4
    assert again.odometer.elsewhere(again.clock.now()) == {}


def test_a_wrong_ticket_in_the_answer_keeps_none(phone, issuer, shop):
    """Where one of the batch is not signed under its own key, the phone keeps nothing and asks again."""

    def swapped(request, response):
        if request.url.path != "/v1/tickets":
            return response
        shop.answer = lambda _, response: response
        said = wire.decode(BlindSignatures, response.content)
        first, second, *others = said.signatures
        wrong = BlindSignatures((second, first, *others), said.issued, said.yearly)
        return httpx.Response(200, content=wire.encode(wrong))

    shop.answer = swapped
    with pytest.raises(RegistryError, match=r"tickets are refused: .* role contribute, slot 1: "):
        fetch(phone, issuer)
    assert left(TicketStore(phone.store, phone.key), issuer.keys) == {}
    assert len(left(fetch(phone, issuer), issuer.keys)) == 4


def test_two_processes_that_fetch_at_once_keep_one_batch(phone, issuer, shop, opened):
    both, ready = (phone, opened()), Barrier(2)

    def fetch_together(one):
        ready.wait(30)
        return fetch(one, issuer)

    with ThreadPoolExecutor(2) as threads:
        wallets = list(threads.map(fetch_together, both))
    assert len({*asked(shop)}) == 1
    batches = [left(wallet, issuer.keys) for wallet in wallets]
    assert sorted(map(len, batches)) == [0, 4]
    assert both[0].odometer.elsewhere(phone.clock.now()) == {}


def test_every_phone_asks_for_a_batch_of_one_size(phone, issuer, shop):
    fetch(phone, issuer)
    (blinded,) = asked(shop)
    assert len(blinded) == issuer.keys.batch == 4
    assert {len(each) for each in blinded} == {tickets.SIGNATURE_LENGTH}
