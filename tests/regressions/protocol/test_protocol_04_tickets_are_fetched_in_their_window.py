"""Tickets are fetched at a random time of the window that opens an epoch, never by a round's first step."""

from __future__ import annotations

from datetime import timedelta

import pytest
from shared_fixtures import fixtures_of

from covey_privacy import wire
from covey_privacy.manifest import sign_manifest
from covey_privacy.registry_messages import Issuer
from covey_sdk.clock import milliseconds
from covey_sdk.errors import ConsentError, RegistryError, TicketError

globals().update(fixtures_of("client_sdk"))
PURPOSES = ("analytics", "personalize")
DAY, WINDOW = 86_400_000, 86_400_000 // 8


@pytest.fixture
def shop(running):
    with running(epsilon={"analytics": 2.0, "personalize": 0.0}, epsilon_total=4.5, slots=4) as shop:
        yield shop


@pytest.fixture
def phone(opened, shop):
    device = opened(trust=shop.trust_with_organisations)
    device.enrol()
    device.grant("personalize")
    device.grant("analytics")
    return device


@pytest.fixture
def manifest(shop, clock, planned):
    """Return the files of a round of the current epoch; the registry answers its manifest with `status`."""

    def manifest(status=200):
        now = int(clock.now.timestamp())
        answer = shop.http.get(f"/v1/issuers/{now // 86_400}/{'+'.join(PURPOSES)}")
        keys = wire.decode(Issuer, answer.content).keys
        signed = sign_manifest(planned(issuer_keys=keys, now=now), shop.operator)
        shop.log(signed, status)
        return shop.round_files(signed, keys)

    return manifest


def asked_for_tickets(shop) -> int:
    return sum(request.url.path == "/v1/tickets" for request in shop.seen)


def epoch_start(clock) -> int:
    return milliseconds(clock.now) // DAY * DAY


def test_tickets_are_fetched_in_their_window(phone, shop, manifest):
    """A phone without tickets does not join, and asks for none at that moment."""
    with pytest.raises(TicketError, match="has no tickets for analytics"):
        phone.round_client().contribute(manifest())
    assert issubclass(TicketError, ConsentError)
    assert asked_for_tickets(shop) == 0


def test_a_phone_says_when_it_fetches_and_fetches_once_it_is_due(phone, shop, clock, manifest):
    clock.forward(hours=20 - 4)  # 20:00 UTC: this epoch's window is long over
    due = phone.ticket_fetcher().fetch_when_due(PURPOSES)
    assert asked_for_tickets(shop) == 0
    start = epoch_start(clock) + DAY
    assert start <= milliseconds(due) < start + WINDOW
    assert phone.ticket_fetcher().fetch_when_due(PURPOSES) == due
    clock.now = due - timedelta(seconds=1)
    assert phone.ticket_fetcher().fetch_when_due(PURPOSES) == due
    assert asked_for_tickets(shop) == 0
    clock.now = due
    following = phone.ticket_fetcher().fetch_when_due(PURPOSES)
    assert asked_for_tickets(shop) == 1
    assert start + DAY <= milliseconds(following) < start + DAY + WINDOW
    assert phone.ticket_fetcher().fetch_when_due(PURPOSES) == following
    assert asked_for_tickets(shop) == 1
    clock.forward(hours=4)
    assert phone.round_client().contribute(manifest())
    assert asked_for_tickets(shop) == 1


def test_times_are_spread_over_the_whole_window(phone, clock):
    start, times = epoch_start(clock) + DAY, []
    for _ in range(64):
        phone.store.delete("fetching")
        times.append((milliseconds(phone.ticket_fetcher().fetch_when_due(PURPOSES)) - start) / WINDOW)
    assert len(set(times)) == 64
    assert min(times) < 0.25
    assert max(times) > 0.75


def test_a_phone_that_is_new_within_the_window_fetches_in_what_is_left_of_it(phone, clock, shop):
    clock.forward(hours=21)  # 01:00 UTC of the next epoch
    due = phone.ticket_fetcher().fetch_when_due(PURPOSES)
    assert milliseconds(clock.now) <= milliseconds(due) < epoch_start(clock) + WINDOW


def test_a_phone_that_was_off_during_the_window_waits_for_the_next(phone, clock, shop):
    clock.now = phone.ticket_fetcher().fetch_when_due(PURPOSES) + timedelta(hours=4)
    start = epoch_start(clock) + DAY
    assert start <= milliseconds(phone.ticket_fetcher().fetch_when_due(PURPOSES)) < start + WINDOW
    assert asked_for_tickets(shop) == 0


def test_a_registry_that_cannot_be_reached_is_asked_again_while_the_window_is_open(phone, clock, shop):
    clock.now = due = phone.ticket_fetcher().fetch_when_due(PURPOSES)
    shop.reachable = False
    with pytest.raises(RegistryError, match="cannot be reached"):
        phone.ticket_fetcher().fetch_when_due(PURPOSES)
    shop.reachable = True
    assert phone.ticket_fetcher().fetch_when_due(PURPOSES) > due
    assert asked_for_tickets(shop) == 1


def test_two_processes_of_one_app_fetch_at_one_time(phone, opened, clock):
    due = phone.ticket_fetcher().fetch_when_due(PURPOSES)
    assert opened().ticket_fetcher().fetch_when_due(PURPOSES) == due


def test_without_sets_the_tickets_of_every_known_question_are_fetched(phone, clock, shop):
    phone.grant("train")
    clock.now = phone.ticket_fetcher().fetch_when_due()
    phone.ticket_fetcher().fetch_when_due()
    assert asked_for_tickets(shop) == 2


def test_no_round_is_logged_while_phones_still_fetch(phone, clock, manifest, shop):
    clock.forward(hours=21)
    assert shop.http.get("/v1/epoch").json()["fetching"] is True
    manifest(status=409)
    clock.forward(hours=3)
    assert shop.http.get("/v1/epoch").json()["fetching"] is False
    manifest()
