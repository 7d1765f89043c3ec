"""A node speaks for the devices whose adverts it brought, and for nobody else's."""

import pytest
from covey_server.homes import Homes
from covey_server.rounds import _name, _replies

from covey_privacy import wire
from covey_privacy.errors import PeerError
from covey_privacy.five_phases import Advert, Blames, Roster, messages
from covey_privacy.rules import Rule
from covey_privacy.tickets import Ticket
from covey_server import fleet


def advert(number):
    ticket = Ticket(bytes([number]) * 32, bytes(32), bytes(256))
    return Advert(ticket, bytes(32), bytes(32), bytes(32), bytes(64))


@pytest.fixture
def homes():
    """Node 7 has devices 0 and 2, node 8 device 1; it also says that it has a device with device 0's key."""
    roster = Roster.of("round-1", bytes(32), [advert(0), advert(1), advert(2)])
    copied = wire.encode(Advert(advert(0).ticket, b"\1" * 32, bytes(32), bytes(32), bytes(64)))
    brought = {7: tuple(wire.encode(advert(n)) for n in (0, 2)), 8: (wire.encode(advert(1)), copied, b"no")}
    return Homes.of(brought, roster)


def agreement(device):
    return wire.encode(messages.Agreement(device, bytes(64)))


def test_devices_stand_behind_the_node_that_brought_their_very_adverts(homes):
    assert homes.devices == {7: {0, 2}, 8: {1}}


def test_a_node_brings_what_its_own_devices_say(homes):
    assert homes.own((7, agreement(2))) == agreement(2)


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (8, agreement(0)),
        (9, agreement(0)),
        (7, b""),
        (7, b"\x82"),
        (7, b"\x82\xf6"),
        (7, b"\x98\x02\x00" + bytes(8)),
        (8, b"\x82\x1b" + (0).to_bytes(8) + b"\x40"),
    ],
)
def test_a_node_that_speaks_for_others_is_not_heard(homes, node, message):
    with pytest.raises(PeerError) as refused:
        homes.own((node, message))
    assert refused.value.rule is Rule.OWN_DEVICES


def test_no_way_of_writing_a_device_is_read_as_another(homes):
    """What names device 1 when it is decoded, in whatever bytes, is never taken for one of node 7's."""
    written = (b"\x01", b"\x18\x01", b"\x19\0\x01", b"\x1a\0\0\0\x01", b"\x1b" + bytes(7) + b"\x01")
    for head in (b"\x82", b"\x98\x02", b"\x99\0\x02", b"\x9f"):
        for number in written:
            with pytest.raises(PeerError):
                homes.own((7, head + number + b"\x58\x40" + bytes(64)))


def partial_sum(*devices):
    return wire.encode(messages.PartialSum(messages.Survivors.of(3, {*devices}).bitmap, b"sum"))


def test_a_node_sums_up_over_its_own_devices(homes):
    assert homes.own_sum((7, partial_sum(0, 2))) == partial_sum(0, 2)
    for node, told in ((8, partial_sum(0)), (7, partial_sum(0, 1)), (9, partial_sum(2))):
        with pytest.raises(PeerError) as refused:
            homes.own_sum((node, told))
        assert refused.value.rule is Rule.OWN_DEVICES


def test_a_node_whose_replies_are_malformed_costs_itself_alone():
    blames, good = Blames(), wire.encode(fleet.Replies((b"advert",)))
    assert blames.sift({7: good, 8: good[:-1]}.items(), _replies, _name) == [(7, (b"advert",))]
    assert [(blame.who, blame.rule) for blame in blames.all] == [("node 8", Rule.MESSAGE_FORM)]
