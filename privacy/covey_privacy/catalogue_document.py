"""Listings: a shop's items and their taxonomy, signed by the operator, the same download for everyone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from covey_privacy import wire
from covey_privacy.errors import PeerError
from covey_privacy.protocol_rules import Rule
from covey_privacy.signatures import SigningKey, Verify, open_signed, sign_checked, verify

CONTEXT = "listing"
MOST_ITEMS = 2**16

Label = Annotated[str, wire.Size(1, 128)]


@dataclass(frozen=True, slots=True)
class Level:
    """A level of the taxonomy: the names of its groups, and the place of each item's among them.

    `places` holds one 16-bit little-endian number for each item.
    """

    name: wire.Name
    groups: Annotated[tuple[Label, ...], wire.Size(1, MOST_ITEMS)]
    places: Annotated[bytes, wire.Size(2, 2 * MOST_ITEMS)]

    @classmethod
    def from_groups(cls, name: str, group_of: tuple[str, ...]) -> Level:
        """Return the level at which the items are in these groups."""
        groups, places = np.unique(np.array(group_of), return_inverse=True)
        return cls(name, tuple(map(str, groups)), places.astype("<u2").tobytes())

    @property
    def group_of(self) -> tuple[str, ...]:
        """The group of each item. Raises PeerError where a place is outside the groups, or half a number."""
        if len(self.places) % 2:
            raise PeerError(
                f"level {self.name!r} has {len(self.places)} bytes; two an item were expected",
                rule=Rule.DOCUMENT_CONTENT,
            )
        places = np.frombuffer(self.places, "<u2")
        if int(places.max()) >= len(self.groups):
            raise PeerError(
                f"level {self.name!r} puts an item into a group that does not exist",
                rule=Rule.DOCUMENT_CONTENT,
            )
        return tuple(self.groups[place] for place in places)


@dataclass(frozen=True, slots=True)
class Listing:
    """The items that a recommender knows, in their order. Of two listings the higher version counts."""

    version: wire.U64
    items: Annotated[tuple[Label, ...], wire.Size(1, MOST_ITEMS)]
    levels: Annotated[tuple[Level, ...], wire.Size(0, 8)]

    @property
    def taxonomy(self) -> dict[str, tuple[str, ...]]:
        """The group of each item, by level. Raises PeerError where a level makes no sense."""
        return {level.name: level.group_of for level in self.levels}


def sign_listing(listing: Listing, key: SigningKey) -> bytes:
    """Return the listing signed by the operator. Raises MisuseError where readers would refuse it."""
    return sign_checked(CONTEXT, listing, key)


def open_listing(data: bytes, operator: bytes, verify: Verify = verify) -> Listing:
    """Return the listing in `data`. Raises PeerError unless the operator signed it."""
    return open_signed(Listing, CONTEXT, data, operator, verify, "operator")
