"""The first phone to fetch tickets for a purpose set in an epoch gets them, though the key is made for it."""

from shared_fixtures import fixtures_of

globals().update(fixtures_of("client_sdk"))

SET = ("analytics", "personalize")
SECONDS = 86400


def test_first_ticket_fetch(device, clock):
    device.grant("analytics")
    fetcher = device.ticket_fetcher()
    epoch = int(clock.now.timestamp()) // SECONDS
    assert fetcher.fetch(epoch, SET, ("personalize",)) == (SET, ("personalize",))


def test_first_ticket_fetch_after_the_epoch_turned(device, clock):
    device.grant("analytics")
    fetcher = device.ticket_fetcher()
    for _ in range(2):
        epoch = int(clock.now.timestamp()) // SECONDS
        assert fetcher.fetch(epoch, SET) == (SET,)
        clock.forward(days=1)
