"""Homes: behind which node each device of a roster stands. A node speaks for its own devices alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from covey_privacy import wire
from covey_privacy.errors import PeerError
from covey_privacy.five_phases import Advert, Blames, Roster
from covey_privacy.five_phases.messages import PartialSum, Survivors, sender
from covey_privacy.rules import Rule


@dataclass(frozen=True, slots=True)
class Homes:
    """The places in a roster of `size` behind each node."""

    devices: Mapping[int, set[int]]
    size: int

    @classmethod
    def of(cls, adverts: Mapping[int, tuple[bytes, ...]], roster: Roster) -> Homes:
        """Return the homes of the devices whose very adverts the nodes brought."""
        places = {advert: place for place, advert in enumerate(roster.adverts)}
        read = {node: Blames().sift(some, partial(wire.decode, Advert)) for node, some in adverts.items()}
        devices = {node: {places[each] for each in some if each in places} for node, some in read.items()}
        return cls(devices, len(roster.adverts))

    def own(self, said: tuple[int, bytes]) -> bytes:
        """Return the message that a node brings. Raises PeerError unless it is of a device of its own."""
        node, message = said
        if sender(message) not in self.devices.get(node, ()):
            raise PeerError(f"node {node} speaks for another node's device", rule=Rule.OWN_DEVICES)
        return message

    def own_sum(self, said: tuple[int, bytes]) -> bytes:
        """Return the `PartialSum` that a node brings. Raises PeerError when it is over others' devices."""
        node, message = said
        named = Survivors(self.size, wire.decode(PartialSum, message).devices)
        if not named.fits or not named.devices <= self.devices.get(node, set()):
            raise PeerError(f"node {node} sums up over other nodes' devices", rule=Rule.OWN_DEVICES)
        return message
